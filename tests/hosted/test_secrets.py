"""Secrets of a hosted pack: no question, reason, event or log line contains them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client, override_settings

from flows.engine.jobs import HostedResults
from flows.models import Event
from flyte_site.core.secrets.encryption import DecryptionError
from flyte_site.core.secrets.redaction import MASK
from packs.hosted import resources
from packs.hosted.plugins import approval
from packs.models import Action, HostedResource
from tests.flows import builders as b
from tests.flows.test_secrets import check_not_stored
from tests.hosted.stub_plugin import Service, ask, host_plugins, world
from tests.secrets import FIRST, SECOND, put_secret

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CANARY = "canary-60221"
READ = "{{ datastore('token') }}"


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    with override_settings(FLYTE_ENCRYPTION_KEYS=FIRST):
        put_secret("token", CANARY)
        yield


def test_secrets_in_a_question_are_masked(client: Client) -> None:
    ask(pack="Approval", name="Ask", input={"question": f"Deploy with {READ}?", "details": {"t": READ, "v": "1.2"}})
    host_plugins(approval.ENTRY).reconcile("Approval", HostedResults())
    approvals = client.get("/v1/approvals").json()
    assert CANARY not in json.dumps(approvals)
    assert MASK in json.dumps(approvals, ensure_ascii=False)
    check_not_stored(CANARY)


def test_a_failure_that_contains_the_secret_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> Any:
        raise RuntimeError(f"401 for Bearer {CANARY}")

    w = world(service=Service(answers={"create": fail}))
    ask(input={"auth": f"Bearer {READ}"})
    w.round()
    assert HostedResource.objects.get().reason == f"RuntimeError: 401 for {MASK}"
    for _ in range(3):
        w.later(seconds=60)
    assert MASK in Action.objects.get(step_id="do").result["payload"]["message"]
    assert CANARY not in caplog.text
    assert "plugin_call_failed" in caplog.text
    check_not_stored(CANARY)
    assert not any(CANARY in json.dumps(event.payload) for event in Event.objects.all())


def test_a_progress_event_that_contains_the_secret_is_masked() -> None:
    w = world()
    b.save(b.step(id="heard", event={"packName": "Stub", "name": "Progress"}), name="listener")
    ask(input={"auth": f"Bearer {READ}"})
    w.round()
    (row,) = HostedResource.objects.all()
    HostedResults().progress(row, "Progress", {"said": f"used {CANARY}"})
    assert Event.objects.get(name="Progress").payload == {"said": f"used {MASK}"}
    check_not_stored(CANARY)


def test_metadata_is_encrypted_if_there_are_keys_and_decrypted_for_the_plugin() -> None:
    w = world()
    ask(input={"auth": f"Bearer {READ}"})
    w.round()
    row = HostedResource.objects.get()
    assert row.meta is None
    assert row.token.encode() not in bytes(row.encrypted_meta or b"")
    assert resources.read_meta(row) == {"id": row.token}
    w.service.jobs[row.token] = "done"
    w.later(seconds=31)
    assert Action.objects.get(step_id="do").result["event"] == "Done"


def test_metadata_cannot_be_copied_to_another_resource() -> None:
    ask()
    world().round()
    row = HostedResource.objects.get()
    row.attempt += 1
    with pytest.raises(DecryptionError, match="another resource"):
        resources.read_meta(row)


def test_rotating_keys_re_encrypts_metadata() -> None:
    w = world()
    ask()
    w.round()
    with override_settings(FLYTE_ENCRYPTION_KEYS=f"{SECOND},{FIRST}"):
        call_command("rotate_encryption_keys")
    with override_settings(FLYTE_ENCRYPTION_KEYS=SECOND):
        row = HostedResource.objects.get()
        assert resources.read_meta(row) == {"id": row.token}
        w.service.jobs[row.token] = "done"
        w.later(seconds=31)
        assert Action.objects.get(step_id="do").result["event"] == "Done"


def test_undecryptable_metadata_fails_the_action_with_a_reason() -> None:
    w = world()
    ask()
    w.round()
    with override_settings(FLYTE_ENCRYPTION_KEYS=SECOND):
        for _ in range(6):
            w.later(seconds=61)
    result = Action.objects.get(step_id="do").result
    assert result["event"] == "FATAL"
    assert "FLYTE_ENCRYPTION_KEYS lacks" in result["payload"]["message"]
