"""Large payloads: each is stored once, whatever refers to it, and everything that reads it gets it as it was sent."""

import json
import random
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flows.engine import retention
from flows.engine.control import replay_event, retry_step
from flows.models import Event, Execution
from flyte_site.core.ids import new_id
from flyte_site.db import large_values
from flyte_site.db.large_values import MIN_LARGE_BYTES, LargeValueNotFoundError, LargeValueWriter, Owner
from flyte_site.db.table_sql import DirectWrites
from packs.models import Action, LargeValue, LargeValueUse
from packs.queue.action_queue import ACTION_TABLE
from tests.flows import builders as b
from tests.reading import statements
from tests.secrets import FIRST, put_secret

pytestmark = [pytest.mark.database, pytest.mark.django_db]

DOCUMENT_COLUMNS = {
    "packs_action": ("input", "context", '"trigger"', "result", "attempt_log"),
    "flows_event": ("payload",),
    "packs_largevalue": ("data",),
}
LARGE_TEXT = random.Random(1).randbytes(MIN_LARGE_BYTES).hex()
CANARY = "canary-80443"
LONG_AGO = timedelta(days=2000)


def count_stored_bytes() -> int:
    """Return the bytes of all columns that can contain payloads."""
    with connection.cursor() as cursor:
        total = 0
        for table, columns in DOCUMENT_COLUMNS.items():
            for column in columns:
                cursor.execute(f"SELECT coalesce(sum(length({column})), 0) FROM {table}")
                total += int(cursor.fetchone()[0])
        return total


def make_payload(size: int, seed: int = 0) -> dict[str, Any]:
    """Build a payload of about `size` bytes in small records, which hardly compresses."""
    generator = random.Random(seed)
    return {"records": [{"id": generator.randbytes(25).hex(), "n": n} for n in range(size // 80)], "title": "t"}


def save_chain(steps: int) -> None:
    """Save a flow whose steps each keep the payload in the context, and send it on."""
    command = {"packName": "Wrk", "name": "Do", "input": {"text": "{{ Event.Payload }}"}}
    documents = [
        (b.follower(f"s{number - 1}") if number else b.step())
        | {"id": f"s{number}", "command": command, "context": {f"C{number}": "{{ Event.Payload }}"}}
        for number in range(steps)
    ]
    b.save(*documents)


def stored_texts(field: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {field} FROM packs_action ORDER BY id")
        return [text for (text,) in cursor.fetchall()]


def test_a_payload_that_ten_steps_pass_on_is_stored_about_twice() -> None:
    payload = make_payload(300_000)
    source, worker = b.pack("Src"), b.pack("Wrk")
    save_chain(10)
    b.tell(source, payload=payload)
    for _ in range(10):
        action = b.take(worker)
        assert json.loads(action.input["text"]) == payload
        b.give(worker, action, payload=payload)
    size = len(json.dumps(payload))
    # As JSON, and as the text that templates make of it.
    assert size / 2 < count_stored_bytes() < 2.5 * size
    actions = b.actions(b.only_execution())
    for number in range(10):
        action = actions[f"s{number}"]
        assert action.trigger["payload"] == action.result["payload"] == payload
        assert set(action.context) == {f"C{earlier}" for earlier in range(number + 1)}
        assert all(json.loads(text) == payload for text in action.context.values())


def test_an_event_that_starts_many_flows_is_stored_once() -> None:
    source, payload = b.pack("Src"), make_payload(100_000)
    for number in range(50):
        b.save(b.step(), name=f"flow {number}")
    b.tell(source, payload=payload)
    assert count_stored_bytes() < 2 * len(json.dumps(payload))
    assert LargeValue.objects.count() == 1
    assert [action.trigger["payload"] == payload for action in Action.objects.all()] == [True] * 50


def test_a_flow_with_small_payloads_is_stored_as_plain_json() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    save_chain(2)
    b.tell(source, payload={"text": "x" * 1000})
    with CaptureQueriesContext(connection) as queries:
        b.work(worker, payload=["y" * 1000])
    assert not [sql for sql in statements(queries) if "largevalue" in sql]
    assert not LargeValue.objects.exists()
    assert not LargeValueUse.objects.exists()
    assert all(text[0] in "{[" for text in stored_texts('"trigger"'))


DOCUMENTS = {
    "a text": LARGE_TEXT,
    "a list of texts": [LARGE_TEXT, "small", LARGE_TEXT],
    "many small members": {f"k{n}": n for n in range(5000)},
    "members that are large together": ["x" * 1000] * 40,
    "a member in a deep object": {"a": {"b": [{"c": {"": {".": {"d": {"e": {"f": LARGE_TEXT}}}}}}, None]}},
    "many large members": {"all": [LARGE_TEXT + str(n) for n in range(20)], "n": 1},
    "a list of thousands with large members": [LARGE_TEXT, *range(3000)],
    "text with escapes": {"t": '\u0000\ud800"\\~é' * 3000},
    "numbers": {"t": LARGE_TEXT, "float": 1e21, "int": 10**30, "false": False, "none": None},
    "an imitated reference": {"document": {"a": None}, "large": [[["a"], "1-2", 3]], "t": LARGE_TEXT},
    "text that imitates one": '~{"document":null,"large":[[[],"20000-0",9]]}' * 500,
    "small text that imitates one": '~{"document":null,"large":[[[],"20000-0",9]]}',
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_is_returned_as_it_was_stored(document: Any) -> None:
    source = b.pack("Src")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": {"small": 1}}))
    b.tell(source, payload=document)
    action = Action.objects.get()
    assert json.dumps(action.trigger["payload"]) == json.dumps(document)
    event = Event.objects.get()
    assert event.payload_bytes or json.dumps(event.payload) == json.dumps(document)
    action.input = document
    ACTION_TABLE.update(DirectWrites(), action, "input")
    (loaded,) = ACTION_TABLE.select("id = %s", action.id)
    assert json.dumps(loaded.input) == json.dumps(Action.objects.get().input) == json.dumps(document)
    assert max(map(len, stored_texts("input") + stored_texts('"trigger"'))) < MIN_LARGE_BYTES


def test_a_payload_shares_its_parts_with_an_input_that_repeats_one_of_them() -> None:
    writer, owner = LargeValueWriter(), Owner("execution", "e")
    writer.encode({"event": "Go", "payload": {"log": LARGE_TEXT, "n": 1}}, owner)
    writer.encode({"text": "".join(list(LARGE_TEXT))}, owner)
    value_inserts = [values for sql, values in writer.take_statements() if "packs_largevalue " in sql]
    assert [len(values) // 4 for values in value_inserts] == [1]
    assert writer.take_statements() == []


def test_a_missing_large_value_is_an_error() -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source, payload=LARGE_TEXT)
    LargeValue.objects.all().delete()
    with pytest.raises(LargeValueNotFoundError):
        _ = Action.objects.get().trigger


def test_values_of_a_flow_that_failed_are_written_for_the_next_flow() -> None:
    writes = DirectWrites()
    errors: list[Exception] = []
    trigger = {"event": "Go", "payload": LARGE_TEXT}
    plain = {"labels_key": "{}", "pack_name": "Wrk", "name": "Do", "trigger": trigger}
    with writes.isolate(errors.append):
        ACTION_TABLE.insert(writes, [Action(correlation_id="first", step_id="s", **plain)])
        raise ValueError("the flow failed")
    with writes.isolate(errors.append):
        ACTION_TABLE.insert(writes, [Action(correlation_id="second", step_id="s", **plain)])
    assert len(errors) == 1
    assert Action.objects.get().trigger == trigger


def test_a_step_that_is_retried_by_hand_leaves_the_trigger_of_its_dependents() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="one"), b.follower("one", event="FATAL", id="alarm"))
    b.tell(source)
    b.work(worker, "FATAL", {"log": LARGE_TEXT})
    retry_step(b.only_execution().id, "one")
    b.give(worker, b.take(worker))
    b.work(worker, payload={"log": "other"})
    actions = b.actions(b.only_execution())
    assert actions["alarm"].trigger["payload"] == {"log": LARGE_TEXT}
    assert actions["one"].attempt_log[0]["result"]["payload"] == {"log": LARGE_TEXT}


def test_an_event_is_replayed_and_tried_with_its_large_payload(client: Client) -> None:
    source, payload = b.pack("Src"), {"log": LARGE_TEXT, "n": 7}
    b.save(b.step(criteria="{{ Event.Payload.n == 7 }}"))
    b.tell(source, payload=payload)
    body = {
        "flow": b.document(b.step(command={"packName": "Wrk", "name": "Do", "input": "{{ Event.Payload.log }}"})),
        "eventId": Event.objects.get().id,
    }
    tried = client.post("/v1/flows/dry-run", json.dumps(body), content_type="application/json")
    assert LARGE_TEXT in tried.content.decode()
    (replayed,) = replay_event(b.only_execution().id)
    assert Action.objects.get(correlation_id=replayed).trigger["payload"] == payload


@override_settings(FLYTE_ENCRYPTION_KEYS=FIRST)
def test_a_large_result_is_stored_without_the_secret_that_it_repeats() -> None:
    put_secret("token", CANARY)
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": "{{ datastore('token') }}"}))
    b.tell(source)
    b.work(worker, payload={"log": f"{LARGE_TEXT} {CANARY}"})
    stored = [zlib.decompress(value.data).decode() for value in LargeValue.objects.all()]
    assert LARGE_TEXT in stored[0]
    assert not [text for text in stored if CANARY in text]


def test_rows_of_the_release_before_continue_in_the_same_way() -> None:
    source, worker, payload = b.pack("Src"), b.pack("Wrk"), make_payload(50_000)
    save_chain(2)
    b.tell(source, payload=payload)
    action = Action.objects.get()
    plain = {"trigger": action.trigger, "context": action.context, "input": action.input}
    Action.objects.filter(id=action.id).update(**plain)  # the ORM writes plain JSON, as the release before did
    LargeValue.objects.all().delete()
    LargeValueUse.objects.all().delete()
    assert stored_texts('"trigger"') == [json.dumps(plain["trigger"], separators=(",", ":"))]
    taken = b.take(worker)
    assert taken.input == plain["input"]
    b.give(worker, taken, payload="small")
    actions = b.actions(b.only_execution())
    assert actions["s0"].trigger == plain["trigger"]
    assert actions["s1"].context == {**plain["context"], "C1": "small"}
    (replayed,) = replay_event(b.only_execution().id)
    assert Action.objects.get(correlation_id=replayed).trigger["payload"] == payload


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Provide the current day, as a list of one number."""
    today = [20_000]
    for module in (large_values, retention):
        monkeypatch.setattr(module, "current_day", lambda: today[0])
    return today


def expire(execution: Execution) -> None:
    Execution.objects.filter(id=execution.id).update(changed_at=timezone.now() - LONG_AGO)
    retention.prune_executions()


def test_a_large_value_is_deleted_with_its_last_execution_and_event(days: list[int]) -> None:
    source = b.pack("Src")
    b.save(b.step())
    for _ in range(2):
        b.tell(source, payload=LARGE_TEXT)
    first, second = Execution.objects.order_by("id")
    days[0] += 2
    expire(first)
    retention.prune_executions()
    assert LargeValue.objects.count() == 1
    expire(second)
    retention.prune_executions()
    assert LargeValue.objects.count() == 1  # the events are still stored
    Event.objects.all().delete()
    retention.prune_executions()
    assert not LargeValue.objects.exists()
    assert not LargeValueUse.objects.exists()


def test_a_large_value_that_can_get_new_uses_is_not_deleted(days: list[int]) -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source, payload=LARGE_TEXT)
    Event.objects.all().delete()
    expire(b.only_execution())
    days[0] += 1
    assert retention.prune_large_values() == 0
    assert LargeValue.objects.count() == 1
    days[0] += 1
    assert retention.prune_large_values() == 1
    assert not LargeValueUse.objects.exists()


def test_a_payload_that_comes_again_on_another_day_gets_another_row(days: list[int]) -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source, payload=LARGE_TEXT)
    first = b.only_execution()
    days[0] += 2
    b.tell(source, payload=LARGE_TEXT)
    Event.objects.all().delete()
    expire(first)
    retention.prune_executions()
    assert LargeValue.objects.get().day == days[0]
    assert Action.objects.get().trigger["payload"] == LARGE_TEXT


def test_large_values_of_actions_without_an_execution_are_deleted(days: list[int]) -> None:
    source = b.pack("Src")
    b.save(b.step())
    b.tell(source, payload=LARGE_TEXT)
    Event.objects.all().delete()
    Execution.objects.all().delete()
    milliseconds = int((timezone.now() - LONG_AGO).timestamp() * 1000)
    Action.objects.update(id=f"{milliseconds << 48:024x}")
    days[0] += 2
    retention.prune_executions()
    assert not Action.objects.exists()
    assert retention.prune_large_values() == 1


def test_more_uses_than_a_statement_has_rows_are_written() -> None:
    writes = DirectWrites()
    rows = [
        Action(
            correlation_id=new_id(),
            step_id="s",
            labels_key="{}",
            pack_name="W",
            name="D",
            trigger={"payload": LARGE_TEXT},
        )
        for _ in range(large_values.MAX_ROWS_PER_STATEMENT + 1)
    ]
    ACTION_TABLE.insert(writes, rows)
    assert LargeValueUse.objects.count() == len(rows)
