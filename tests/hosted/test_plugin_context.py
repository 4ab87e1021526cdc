"""The context of a plugin's calls, and its loading on first use."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from datastore.models import Item
from flows.engine.jobs import HostedResults
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.interfaces import PluginEntry, PluginSetupContext, SyncPlugin, TaskExecutionContext
from packs.hosted.plugin_api.phases import Phase, success
from packs.hosted.plugins.file_secrets import FileSecretManager
from packs.models import Action, HostedCount
from tests.hosted.stub_plugin import ask, host_plugins, result

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


class RecordingPlugin(SyncPlugin):
    """A plugin that records its contexts, and acts by the input."""

    def __init__(self, setup: PluginSetupContext) -> None:
        self.setup = setup
        self.contexts: list[TaskExecutionContext] = []

    def get_config(self) -> PluginConfig:
        config: PluginConfig = self.setup.config
        return config

    def do(self, context: TaskExecutionContext) -> Phase:
        self.contexts.append(context)
        match context.input:
            case "write":
                context.output.put({"written": True})
                return success("Done")
            case "large":
                context.output.put("x" * context.max_dataset_size_bytes)
            case "store":
                context.datastore.put("stored", b'{"a": 1}', "application/json")
                return success("Done", context.datastore.get("stored"))
            case "key":
                context.datastore.put("a\x00b", b"", "text/plain")
        self.setup.metrics.count("done")
        self.setup.metrics.scope("inner").count("done", 2)
        return success("Done", "done")


loaded: list[RecordingPlugin] = []


def load(setup: PluginSetupContext) -> RecordingPlugin:
    loaded.append(RecordingPlugin(setup))
    return loaded[-1]


def entry() -> PluginEntry:
    loaded.clear()
    return PluginEntry("Note", ("Do",), load, config=PluginConfig(caching=CachingConfig(workers=0)))


def run_action(input: Any = None, **options: Any) -> TaskExecutionContext:
    """Run an action, and return the context of the plugin's call."""
    hosting = host_plugins(entry())
    ask(pack="Note", input=input, **options)
    hosting.reconcile("Note", HostedResults())
    return loaded[0].contexts[0]


def test_a_plugin_is_loaded_on_first_use() -> None:
    hosting = host_plugins(entry())
    hosting.reconcile("Note", HostedResults())
    hosting.run_upkeep()
    assert loaded == []
    ask(2, pack="Note")
    hosting.reconcile("Note", HostedResults())
    assert (len(loaded), len(loaded[0].contexts)) == (1, 2)


def test_the_context_has_input_task_and_metadata() -> None:
    context = run_action({"a": [1]}, timeout="90s")
    action = Action.objects.get(step_id="do")
    assert (context.input, context.task.type, context.task.timeout) == ({"a": [1]}, "Do", 90)
    metadata = context.metadata
    assert (metadata.token, metadata.attempt, metadata.flow_name) == (f"{action.id}-1", 1, "flow")
    assert (metadata.action_id, metadata.correlation_id, metadata.step_id) == (action.id, action.correlation_id, "do")
    assert context.max_dataset_size_bytes == settings.FLYTE_MAX_RESULT_BYTES
    assert loaded[0].setup.config.caching.workers == 0


def test_the_output_is_the_payload_of_the_result() -> None:
    run_action("write")
    assert (result()["event"], result()["payload"]) == ("Done", {"written": True})


def test_an_output_that_is_too_large_is_fatal() -> None:
    run_action("large")
    assert (result()["event"], "exceeds the limit of 16777216 bytes" in result()["payload"]["message"]) == (
        "FATAL",
        True,
    )


def test_the_datastore_can_be_read_and_written() -> None:
    run_action("store")
    assert (result()["payload"], Item.objects.get().content_type) == ({"a": 1}, "application/json")


def test_an_invalid_datastore_key_is_refused() -> None:
    run_action("key")
    assert (result()["event"], Item.objects.count()) == ("FATAL", 0)


def test_a_value_that_is_too_large_for_the_datastore_is_refused() -> None:
    context = run_action()
    with override_settings(FLYTE_MAX_DATASTORE_VALUE_BYTES=10), pytest.raises(UserFailure):
        context.datastore.put("a", b"x" * 11, "text/plain")


def test_counters_of_a_plugin_are_in_its_scope() -> None:
    run_action()
    counts = dict(HostedCount.objects.values_list("name", "value"))
    assert counts == {"calls.do": 1, "plugin.done": 1, "plugin.inner.done": 2}


def test_secrets_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "ci.token").write_text("s3cret\n")
    (tmp_path.parent / "outside").write_text("no")
    secrets = FileSecretManager(str(tmp_path))
    assert secrets.get("ci.token") == "s3cret"
    for name in ("../outside", "", ".hidden", "missing", "a/b", "x\x00"):
        with pytest.raises(LookupError):
            secrets.get(name)
    with pytest.raises(LookupError, match="FLYTE_WEBAPI_SECRETS_PATH is not set"):
        FileSecretManager("").get("ci.token")


def test_a_plugin_that_fails_to_load_fails_its_actions_with_a_reason() -> None:
    def broken(_: PluginSetupContext) -> RecordingPlugin:
        raise ValueError("no licence")

    hosting = host_plugins(PluginEntry("Note", ("Do",), broken))
    ask(pack="Note")
    hosting.reconcile("Note", HostedResults())
    assert result()["payload"] == {"message": "plugin Note failed: ValueError"}
