"""Secrets in templates: only the pack that takes the action gets them."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, override_settings

from datastore.models import Item
from flows.engine import control, jobs
from flows.models import Event, ExecutionState
from flyte_site.core.secrets.redaction import MASK
from flyte_site.core.secrets.reencryption import ReencryptionCount, reencrypt_row
from packs.models import Action, ActionState
from packs.queue.action_secrets import input_with_secrets
from tests.flows import builders as b
from tests.secrets import FIRST, SECOND, put_secret

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CANARY = "canary-60221"
READ = "{{ datastore('token') }}"


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    with override_settings(FLYTE_ENCRYPTION_KEYS=FIRST):
        put_secret("token", CANARY)
        yield


def command(input_value: Any, **options: Any) -> dict[str, Any]:
    return {"packName": "Wrk", "name": "Do", "input": input_value, **options}


def take_input(client: Client, pack: str = "Wrk") -> Any:
    """Take the next action over HTTP, and return its input."""
    response = client.post(f"/v1/packs/{pack}/actions/take")
    assert response.status_code == 200, response.content
    return json.loads(response.content)["input"]


def step_of(step_id: str) -> Action:
    return Action.objects.get(step_id=step_id)


def check_not_stored(secret: str = CANARY) -> None:
    """Check that no column of any row contains the secret."""
    for table in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                for value in row:
                    plain = bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode()
                    assert secret.encode() not in plain, (table, row)


def test_a_text_that_reads_a_secret_is_redacted_except_for_the_taker(client: Client) -> None:
    source = b.pack("Src")
    b.pack("Wrk")
    template = {"auth": f"Bearer {READ}", "list": ["plain", READ, 5], "room": "{{ Event.Payload.room }}"}
    b.save(b.step(id="a", command=command(template)))
    b.tell(source, payload={"room": "ops"})
    assert step_of("a").input == {"auth": MASK, "list": ["plain", MASK, 5], "room": "ops"}
    check_not_stored()
    rendered = {"auth": f"Bearer {CANARY}", "list": ["plain", CANARY, 5], "room": "ops"}
    assert take_input(client) == rendered
    assert step_of("a").input["auth"] == MASK


def test_an_input_that_is_one_secret_text_is_redacted_too(client: Client) -> None:
    source = b.pack("Src")
    b.pack("Wrk")
    b.save(b.step(id="a", command=command(READ)))
    b.tell(source)
    assert step_of("a").input == MASK
    assert take_input(client) == CANARY


def test_a_secret_stays_secret_through_the_context(client: Client) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(
        b.step(id="a", context={"Auth": f"Bearer {READ}", "Room": "ops"}, command=command("{{ Context.Room }}")),
        b.follower("a", id="b", context={"Both": "{{ Context.Auth }}!"}, command=command("{{ Context.Room }}")),
        b.follower(
            "b", id="c", context={"Auth": "open"}, command=command(["{{ Context.Both }}", "{{ Context.Auth }}"])
        ),
    )
    b.tell(source)
    assert b.work(worker).input == "ops"
    assert step_of("a").context == {"Auth": MASK, "Room": "ops"}
    assert step_of("b").context == {"Auth": MASK, "Room": "ops", "Both": MASK}
    b.work(worker)
    assert step_of("c").input == [MASK, "open"]
    assert step_of("c").context == {"Auth": "open", "Room": "ops", "Both": MASK}
    assert take_input(client) == [f"Bearer {CANARY}!", "open"]
    check_not_stored()


def test_a_result_that_repeats_the_secret_is_redacted_before_it_is_handled() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(
        b.step(id="a", command=command(f"Bearer {READ}")),
        b.follower("a", id="b", command=command("{{ Event.Payload.out }}")),
    )
    b.save(b.step(event={"packName": "Wrk", "name": "Done"}, command=command("{{ Event.Payload.out }}")), name="other")
    b.tell(source)
    b.work(worker, payload={"out": f"curl -H '{CANARY}' failed"})
    masked = f"curl -H '{MASK}' failed"
    assert step_of("a").result["payload"] == {"out": masked}
    assert (step_of("b").input, step_of("step-1").input) == (masked, masked)
    assert Event.objects.filter(name="Done").get().payload == {"out": masked}
    check_not_stored()


def test_only_secrets_sent_to_the_taker_are_redacted_in_results(client: Client) -> None:
    account = {"user": "deploy", "password": CANARY, "url": "https://build.example.org"}
    put_secret("account", json.dumps(account), "application/json")
    source, worker = b.pack("Src"), b.pack("Wrk")
    basic = "{{ base64Encode(datastore('account').user + ':' + datastore('account').password) }}"
    b.save(b.step(id="a", command=command(basic)))
    b.tell(source)
    action = b.take(worker)
    b.give(worker, action, payload=f"deploy with {CANARY} from https://build.example.org")
    assert step_of("a").result["payload"] == f"{MASK} with {MASK} from https://build.example.org"


def test_a_repeated_result_is_equal_although_it_was_redacted() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(READ)))
    b.tell(source)
    action = b.take(worker)
    finishes = [b.give(worker, action, payload=f"said {CANARY}") for _ in range(2)]
    assert [finish.value for finish in finishes if finish] == ["counted", "repeated"]
    check_not_stored()


def test_attempts_and_late_results_are_redacted_and_a_retry_gets_the_secret(client: Client) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(READ, retries=1)))
    b.tell(source)
    action = b.take(worker)
    b.give(worker, action, "FATAL", CANARY)
    assert take_input(client) == CANARY
    b.give(worker, action, "Done", {"late": CANARY})
    b.give(worker, step_of("a"), "FATAL", CANARY)
    control.retry_step(b.only_execution().id, "a")
    assert take_input(client) == CANARY
    assert len(step_of("a").attempt_log) >= 2
    check_not_stored()


def test_a_replay_reads_the_current_secret(client: Client) -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a", command=command(READ)))
    b.tell(source)
    b.work(worker)
    put_secret("token", "another-secret")
    control.replay_event(b.only_execution().id)
    assert take_input(client) == "another-secret"
    check_not_stored()


@pytest.mark.parametrize("part", ["event", "command"])
def test_labels_cannot_read_secrets(part: str) -> None:
    source = b.pack("Src")
    step = b.step(id="a")
    step[part] = {**step[part], "packLabels": {"env": READ}}
    b.save(step)
    b.tell(source)
    assert not Action.objects.exists()
    outcome = Event.objects.get().outcomes[0]["steps"][0]
    assert (outcome["outcome"], outcome["path"]) == ("error", f"steps[0].{part}.packLabels.env")
    assert "must not read a secret" in outcome["message"]
    check_not_stored()


@pytest.mark.parametrize(
    ("criteria", "outcome"),
    [
        (f"{{{{ datastore('token') == '{CANARY[:3]}' }}}}", "criteria"),
        (READ, "criteria"),
        ("{{ unmarshalJson(datastore('token')) }}", "error"),
        ("{{ datastore(datastore('token')) }}", "error"),
        ("{{ datastore('token')|length > 3 }}", "fired"),
    ],
)
def test_criteria_that_read_secrets_show_only_their_result(criteria: str, outcome: str) -> None:
    source = b.pack("Src")
    b.save(b.step(criteria=criteria))
    b.tell(source)
    (step,) = Event.objects.get().outcomes[0]["steps"]
    assert step["outcome"] == outcome
    check_not_stored()


def test_a_flow_whose_criteria_read_a_secret_stores_nothing_of_it() -> None:
    source = b.pack("Src")
    b.save(b.step(id="a", criteria="{{ datastore('token')|length > 3 }}", command=command("x")))
    b.tell(source)
    assert step_of("a").secrets is None


def test_a_dry_run_reads_a_secret_and_shows_nothing_of_it(client: Client) -> None:
    flow = b.document(
        b.step(
            id="a",
            context={"T": READ},
            criteria=f"{{{{ Context.T == '{CANARY}' }}}}",
            command=command({"t": READ, "u": "{{ Event.Payload }}"}),
        ),
        b.follower("a", id="b", criteria="{{ Context.T }}", command=command("{{ Context.T }}")),
        b.follower("a", id="c", command=command("{{ Context.T }} {{ Event.Payload }}")),
    )
    body = {"flow": flow, "event": {"event": "Go"}, "results": {"a": {"event": "Done", "payload": f"x {CANARY}"}}}
    # The flow contains the value itself, unlike any real flow.
    answer = client.post("/v1/flows/dry-run", json.dumps(body), content_type="application/json")
    steps = {step["stepId"]: step for step in json.loads(answer.content)["steps"]}
    assert steps["a"]["command"]["input"] == {"t": MASK, "u": ""}
    assert (steps["a"]["context"], steps["a"]["criteria"]["holds"]) == ({"T": MASK}, True)
    assert steps["a"]["result"]["payload"] == f"x {MASK}"
    assert (steps["b"]["outcome"], steps["b"]["criteria"]["verdict"]) == ("criteria", MASK)
    assert (steps["c"]["command"]["input"], steps["c"]["inherited"]) == (MASK, {"T": MASK})
    assert answer.content.decode().count(CANARY) == json.dumps(flow["steps"][0]["criteria"]).count(CANARY)


def test_try_template_shows_nothing_of_a_secret() -> None:
    out = StringIO()
    call_command("try_template", f"Bearer {READ}", stdout=out)
    assert out.getvalue() == f"{MASK}\n"


@pytest.mark.parametrize(("others", "message"), [("", "has no key"), (SECOND, "FLYTE_ENCRYPTION_KEYS lacks")])
class TestMissingKey:
    """Flows and actions if a key is lost, or missing on one machine."""

    def test_the_outcome_of_the_step_that_reads_the_secret_names_the_key(self, others: str, message: str) -> None:
        source = b.pack("Src")
        b.save(b.step(id="a", command=command({"auth": READ})))
        with override_settings(FLYTE_ENCRYPTION_KEYS=others):
            b.tell(source)
        outcome = Event.objects.get().outcomes[0]["steps"][0]
        assert (outcome["outcome"], outcome["path"]) == ("error", "steps[0].command.input.auth")
        assert message in outcome["message"]

    def test_a_queued_action_with_a_secret_ends_fatal_with_a_reason(
        self, others: str, message: str, client: Client
    ) -> None:
        source = b.pack("Src")
        b.pack("Wrk")
        b.save(b.step(id="a", command=command(READ)), b.step(id="plain", command=command("plain")))
        b.tell(source)
        with override_settings(FLYTE_ENCRYPTION_KEYS=others):
            assert take_input(client) == "plain"
            jobs.expire_leases()
        assert step_of("a").state == ActionState.FATAL
        assert message in step_of("a").result["payload"]["reason"]
        control.retry_step(b.only_execution().id, "a")
        assert take_input(client) == CANARY

    def test_a_step_that_inherits_the_secret_is_an_error_of_the_execution(self, others: str, message: str) -> None:
        source, worker = b.pack("Src"), b.pack("Wrk")
        b.save(b.step(id="a", context={"T": READ}, command=command("x")), b.follower("a", id="b"))
        b.tell(source)
        action = b.take(worker)
        with override_settings(FLYTE_ENCRYPTION_KEYS=others):
            b.give(worker, action, payload=f"x {CANARY}")
        (error,) = b.only_execution().errors
        assert (error["stepId"], error["path"]) == ("b", "steps[1].context")
        assert message in error["message"]
        assert step_of("a").result["payload"] == MASK
        assert b.only_execution().state == ExecutionState.FAILED
        check_not_stored()


class TestRotation:
    """The command `manage.py rotate_encryption_keys`."""

    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("rotate_encryption_keys", *arguments, stdout=out)
        return out.getvalue()

    def test_values_of_an_old_key_are_encrypted_with_the_new_one(self, client: Client) -> None:
        source = b.pack("Src")
        b.pack("Wrk")
        b.save(b.step(id="a", command=command(READ)))
        b.tell(source)
        Item.objects.create(key="plain", value=b"1", content_type="text/plain")
        updated = Item.objects.get(key="token").updated_at
        with override_settings(FLYTE_ENCRYPTION_KEYS=f"{SECOND},{FIRST}"):
            output = "1 of 1 datastore items would be re-encrypted\n1 of 1 actions would be re-encrypted\n"
            output += "0 of 0 resources of hosted packs would be re-encrypted\n"
            assert self.run("--dry-run") == output
            assert self.run() == output.replace("would be", "were")
            assert self.run() == output.replace("would be", "were").replace("1 of", "0 of")
        with override_settings(FLYTE_ENCRYPTION_KEYS=SECOND):
            assert input_with_secrets(step_of("a")) == CANARY
            assert take_input(client) == CANARY
        assert Item.objects.get(key="token").updated_at == updated

    def test_unreadable_values_are_skipped_and_counted(self) -> None:
        with override_settings(FLYTE_ENCRYPTION_KEYS=SECOND):
            put_secret("other", "x")
        out = StringIO()
        with pytest.raises(Exception, match="some values can't be decrypted"):
            call_command("rotate_encryption_keys", stdout=out)
        assert "0 of 2 datastore items were re-encrypted, 1 unreadable" in out.getvalue()

    def test_a_missing_setting_of_keys_is_an_error(self) -> None:
        for _ in range(2):
            with (
                override_settings(FLYTE_ENCRYPTION_KEYS=""),
                pytest.raises(CommandError, match="needs FLYTE_ENCRYPTION_KEYS") as caught,
            ):
                self.run()
            assert caught.value.returncode == 2
            Item.objects.all().delete()

    def test_a_value_replaced_during_the_rotation_is_not_overwritten(self) -> None:
        rows, old = Item.objects.filter(key="token"), bytes(Item.objects.get(key="token").value)
        with override_settings(FLYTE_ENCRYPTION_KEYS=f"{SECOND},{FIRST}"):
            put_secret("token", "meanwhile")
            assert reencrypt_row(rows, "value", old, dry_run=False) == ReencryptionCount(examined=1)
            assert Item.objects.get(key="token").get_plaintext() == b"meanwhile"
