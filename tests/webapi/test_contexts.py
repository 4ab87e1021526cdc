"""What plugins are given, and when they are loaded."""

from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from datastore.models import Item
from flows.engine.jobs import HostedResults
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.interfaces import PluginEntry, PluginSetupContext, SyncPlugin, TaskExecutionContext
from packs.hosted.plugin_api.phases import Phase, success
from packs.hosted.plugins.file_secrets import FileSecretManager
from packs.models import Action, HostedCount
from tests.webapi.stub import ask, hosting_of, result

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class Noting(SyncPlugin):
    """Keeps what it is given, and does what the test says."""

    def __init__(self, setup: PluginSetupContext) -> None:
        self.setup = setup
        self.given: list[TaskExecutionContext] = []

    def get_config(self) -> PluginConfig:
        config: PluginConfig = self.setup.config
        return config

    def do(self, context: TaskExecutionContext) -> Phase:
        self.given.append(context)
        match context.input:
            case "write":
                context.output.put({"written": True})
                return success("Done")
            case "large":
                context.output.put("x" * context.max_dataset_size_bytes)
            case "keep":
                context.datastore.put("kept", b'{"a": 1}', "application/json")
                return success("Done", context.datastore.get("kept"))
            case "key":
                context.datastore.put("a\x00b", b"", "text/plain")
        self.setup.metrics.count("done")
        self.setup.metrics.scope("inner").count("done", 2)
        return success("Done", "done")


loaded: list[Noting] = []


def load(setup: PluginSetupContext) -> Noting:
    loaded.append(Noting(setup))
    return loaded[-1]


def entry() -> PluginEntry:
    loaded.clear()
    return PluginEntry("Note", ("Do",), load, config=PluginConfig(caching=CachingConfig(workers=0)))


def given(input: Any = None, **options: Any) -> TaskExecutionContext:
    """What the plugin is given for an action, which is then done."""
    hosting = hosting_of(entry())
    ask(pack="Note", input=input, **options)
    hosting.reconcile("Note", HostedResults())
    return loaded[0].given[0]


def test_a_plugin_is_loaded_when_it_is_first_needed() -> None:
    hosting = hosting_of(entry())
    hosting.reconcile("Note", HostedResults())
    hosting.run_upkeep()
    assert loaded == []
    ask(2, pack="Note")
    hosting.reconcile("Note", HostedResults())
    assert (len(loaded), len(loaded[0].given)) == (1, 2)


def test_what_a_plugin_is_given() -> None:
    context = given({"a": [1]}, timeout="90s")
    action = Action.objects.get(step_id="do")
    assert (context.input, context.task.type, context.task.timeout) == ({"a": [1]}, "Do", 90)
    metadata = context.metadata
    assert (metadata.token, metadata.attempt, metadata.flow_name) == (f"{action.id}-1", 1, "flow")
    assert (metadata.action_id, metadata.correlation_id, metadata.step_id) == (action.id, action.correlation_id, "do")
    assert context.max_dataset_size_bytes == 1024 * 1024
    assert loaded[0].setup.config.caching.workers == 0


def test_what_was_put_into_the_output_is_the_result_s_payload() -> None:
    given("write")
    assert (result()["event"], result()["payload"]) == ("Done", {"written": True})


def test_an_output_that_is_too_large_is_fatal() -> None:
    given("large")
    assert (result()["event"], "exceeds the limit of 1048576 bytes" in result()["payload"]["message"]) == (
        "FATAL",
        True,
    )


def test_the_datastore_can_be_read_and_written() -> None:
    given("keep")
    assert (result()["payload"], Item.objects.get().content_type) == ({"a": 1}, "application/json")


def test_a_key_that_is_none_is_refused() -> None:
    given("key")
    assert (result()["event"], Item.objects.count()) == ("FATAL", 0)


def test_a_value_that_is_too_large_for_the_datastore_is_refused() -> None:
    context = given()
    with override_settings(FLYTE_MAX_DATASTORE_VALUE_BYTES=10), pytest.raises(UserFailure):
        context.datastore.put("a", b"x" * 11, "text/plain")


def test_a_plugin_counts_in_a_scope_of_its_own() -> None:
    given()
    counts = dict(HostedCount.objects.values_list("name", "value"))
    assert counts == {"calls.do": 1, "plugin.done": 1, "plugin.inner.done": 2}


def test_secrets_are_files(tmp_path: Path) -> None:
    (tmp_path / "ci.token").write_text("s3cret\n")
    (tmp_path.parent / "outside").write_text("no")
    secrets = FileSecretManager(str(tmp_path))
    assert secrets.get("ci.token") == "s3cret"
    for name in ("../outside", "", ".hidden", "missing", "a/b", "x\x00"):
        with pytest.raises(LookupError):
            secrets.get(name)
    with pytest.raises(LookupError, match="FLYTE_WEBAPI_SECRETS_PATH is not set"):
        FileSecretManager("").get("ci.token")


def test_a_plugin_that_can_not_be_loaded_fails_its_actions_and_says_so() -> None:
    def broken(_: PluginSetupContext) -> Noting:
        raise ValueError("no licence")

    hosting = hosting_of(PluginEntry("Note", ("Do",), broken))
    ask(pack="Note")
    hosting.reconcile("Note", HostedResults())
    assert result()["payload"] == {"message": "plugin Note failed: ValueError"}
