"""The import from the original server: a dump of its database, and executions that continue here."""

import json
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from datastore.models import Item
from flows.engine.complete import expire_lease
from flows.importers.mongo.values import convert_id, to_json_value
from flows.models import Execution, ExecutionState, Flow, FlowVersion
from flyte_site.core.ids import min_id_at, new_id
from packs.models import Action, ActionState, Pack
from packs.queue.leases import find_expired_leases
from tests.flows import builders as b
from tests.flows import mongo_dump as o

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

FLOW = o.flow("ex", o.step("one"), o.step("two", ["one"], context={"R": "{{ Event.Payload.n }}"}))
DONE, FAILED, TAKEN, WAITING = ("5ab24a266f42ed00054733d" + end for end in "1234")

HELD = "5ab24a266f42ed00054744a1"


def dump(folder: Path, **changes: list[dict[str, Any]]) -> Path:
    """Write a dump of two packs, a flow with an older version, and executions of each kind."""
    first = o.action(FLOW, DONE, "one", "NEW", "PENDING", "SUCCESS")
    second = o.action(FLOW, DONE, "two", "NEW", "PENDING", "SUCCESS", trigger=first["result"])
    old = o.flow("ex", o.step("one"), _id=ObjectId(o.new_id(-600)), uuid=o.new_id(-600))
    collections = {
        "pack": [o.pack("Src"), o.pack("Wrk", {"env": "prod"})],
        "flow": [FLOW],
        "flowHistory": [old, FLOW],
        "action": [
            second,
            first,
            o.action(FLOW, FAILED, "one", "NEW", "PENDING", "FATAL"),
            o.action(FLOW, TAKEN, "one", "NEW", "PENDING", _id=HELD),
            o.action(old, WAITING, "one", "NEW", packLabels={"env": "prod"}),
        ],
        "datastore": [o.item("teams", b'{"a": "a@example.org"}')],
    }
    return o.write(folder, {**collections, **changes})


def run(*arguments: object) -> int:
    """Run the command, and return its exit code."""
    try:
        call_command("import_mongodump", *map(str, arguments))
    except SystemExit as end:
        return int(str(end.code))
    except CommandError as error:
        return error.returncode
    return 0


def counts() -> list[int]:
    return [model.objects.count() for model in (Pack, Item, FlowVersion, Flow, Execution, Action)]


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    folder = dump(tmp_path / "dump")
    assert run(folder) == 0
    return folder


def test_everything_is_imported(imported: Path) -> None:
    assert counts() == [2, 1, 2, 1, 4, 5]
    wrk = Pack.objects.get(identity="Wrk.env.prod")
    assert (wrk.labels, wrk.last_seen, wrk.commands) == (
        {"env": "prod"}, o.BEGAN, [{"name": "Do", "events": ["Done"]}]
    )  # fmt: skip
    assert wrk.links == [{"href": "http://docs", "rel": "help"}]
    assert bytes(Item.objects.get(key="teams").value) == b'{"a": "a@example.org"}'
    flow = Flow.objects.select_related("version").get()
    assert (flow.name, flow.enabled, len(flow.version.document["steps"])) == ("ex", True, 2)
    assert [(subscription.pack_name, subscription.event_name) for subscription in flow.subscriptions.all()] == [
        ("Src", "Go")
    ]
    states = dict(Execution.objects.values_list("id", "state"))
    assert states == {DONE: "succeeded", FAILED: "failed", TAKEN: "running", WAITING: "running"}


def test_the_audit_shows_imported_data(imported: Path, client: Client) -> None:
    execution = client.get(f"/v1/audit/flows/{DONE}").json()
    assert [step["id"] for step in execution["steps"]] == ["one", "two"]
    first = execution["actions"]["one"]
    assert [state["value"] for state in first["states"]] == ["NEW", "PENDING", "SUCCESS"]
    assert first["states"][0]["time"] == "2026-11-20T05:30:29.463Z"
    assert (first["input"], first["context"]) == ({"n": 5, "list": [1.5, None]}, {"Who": "ann"})
    assert first["trigger"] == {
        "event": "Go", "pack": {"id": "Src", "name": "Src"}, "payload": {"n": 5},
        "createdAt": "2026-11-20T05:30:28.463Z", "receivedAt": "2026-11-20T05:30:29.463Z",
    }  # fmt: skip
    assert first["result"]["event"] == "Done"
    assert "result" not in client.get(f"/v1/audit/flows/{TAKEN}").json()["actions"]["one"]
    assert (
        Action.objects.get(correlation_id=DONE, step_id="two").triggered_by
        == Action.objects.get(correlation_id=DONE, step_id="one").id
    )


def test_the_console_shows_imported_data(imported: Path, admin_client: Client) -> None:
    for correlation_id in (DONE, FAILED, TAKEN, WAITING):
        page = admin_client.get(f"/admin/flows/execution/{correlation_id}/", follow=True)
        assert (page.status_code, correlation_id in page.content.decode()) == (200, True)
    for path in ("/admin/", "/admin/flows/flow/", "/admin/flows/execution/", "/admin/packs/pack/"):
        assert admin_client.get(path).status_code == 200


def test_a_running_execution_ends_here(imported: Path) -> None:
    wrk = Pack.objects.get(identity="Wrk.env.prod")
    action = b.take(wrk)
    assert (action.correlation_id, action.input, action.context) == (
        WAITING,
        {"n": 5, "list": [1.5, None]},
        {"Who": "ann"},
    )
    b.give(wrk, action)
    assert Execution.objects.get(id=WAITING).state == ExecutionState.SUCCEEDED


def test_a_result_of_an_action_taken_there_continues_the_flow_here(imported: Path, client: Client) -> None:
    path = f"/v1/packs/Wrk.env.prod/actions/{HELD}/result"
    answer = client.post(path, {"event": "Done", "payload": {"n": 7}}, content_type="application/json")
    assert answer.status_code == 202
    following = Action.objects.get(correlation_id=TAKEN, step_id="two")
    assert (following.context, following.input, following.state) == ({"Who": "ann", "R": "7"}, "7", ActionState.NEW)
    assert Execution.objects.get(id=TAKEN).latest_action_id == following.id


def test_an_action_taken_there_ends_with_its_lease(imported: Path) -> None:
    taken = Action.objects.get(correlation_id=TAKEN)
    assert taken.lease_ends_at is not None
    assert taken.lease_ends_at > timezone.now()
    Action.objects.filter(id=taken.id).update(lease_ends_at=timezone.now())
    assert find_expired_leases(timezone.now(), 10) == [taken.id]
    expire_lease(taken.id)
    assert Execution.objects.get(id=TAKEN).state == ExecutionState.FAILED


def test_newer_data_sorts_after_imported_data(imported: Path) -> None:
    b.tell(Pack.objects.get(identity="Src"), payload={"n": 1})
    newest = Execution.objects.order_by("-latest_action_id").first()
    assert newest is not None
    assert newest.id not in (DONE, FAILED, TAKEN, WAITING)
    b.save(o.step("one"), name="ex")
    assert FlowVersion.objects.filter(flow_name="ex").order_by("-id")[0] == Flow.objects.get().version


def test_a_second_import_changes_nothing(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = counts(), list(Action.objects.order_by("id").values("id", "state", "state_log"))
    capsys.readouterr()
    assert run(imported) == 0
    assert (counts(), list(Action.objects.order_by("id").values("id", "state", "state_log"))) == before
    assert "executions         4 unchanged" in capsys.readouterr().out


def test_a_later_dump_updates_unchanged_executions(imported: Path, tmp_path: Path) -> None:
    taken = Action.objects.get(correlation_id=TAKEN)
    wrk = Pack.objects.get(identity="Wrk.env.prod")
    b.give(wrk, b.take(wrk))
    later = dump(
        tmp_path / "later",
        action=[
            o.action(FLOW, TAKEN, "one", "NEW", "PENDING", "FATAL", _id=taken.id),
            o.action(FLOW, WAITING, "one", "NEW", "PENDING"),
        ],
    )
    assert run(later) == 0
    assert Execution.objects.get(id=TAKEN).state == ExecutionState.FAILED
    assert Action.objects.get(correlation_id=TAKEN).state == ActionState.FATAL
    assert Execution.objects.get(id=WAITING).state == ExecutionState.SUCCEEDED, "what went on here is not undone"


def test_a_dry_run_writes_nothing_and_prints_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = dump(tmp_path)
    assert run(folder, "--dry-run") == 0
    assert counts() == [0] * 6
    dry = capsys.readouterr().out
    run(folder)
    assert dry == capsys.readouterr().out + "nothing was written\n"
    assert "executions         4 new\nactions            5 new\n2 running executions continue here\n" in dry


def test_different_data_here_is_kept_unless_overwritten(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b.save(b.step(), name="ex")
    Item.objects.update(value=b"mine")
    assert run(imported) == 0
    messages = capsys.readouterr().err
    assert "flow 'ex' is different here; this one is kept" in messages
    assert "datastore item 'teams' has a different value here" in messages
    assert run(imported, "--overwrite") == 0
    assert len(Flow.objects.get().version.document["steps"]) == 2
    assert bytes(Item.objects.get().value) != b"mine"


def test_an_invalid_flow_is_listed_and_the_rest_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = o.flow("bad", o.step("one"), o.step("one", ["nobody"]))
    odd = o.flow("odd", o.step("one", criteria="true or false"))
    folder = dump(tmp_path, flow=[FLOW, bad, odd], flowHistory=[FLOW, bad, odd])
    (waits,) = [o.action(bad, WAITING, "one", "NEW")]
    o.write(folder, {"action": [waits]})
    assert run(folder) == 1
    messages = capsys.readouterr().err
    assert "error: flow 'bad': steps[1].id: duplicate step id 'one': already used by steps[0]" in messages
    assert "warning: flow 'odd': steps[0].criteria: contains no {{ ... }} and is always false" in messages
    assert f"warning: execution '{WAITING}' of flow 'bad' cannot run dependent steps" in messages
    assert sorted(Flow.objects.values_list("name", flat=True)) == ["ex", "odd"]
    wrk = Pack.objects.get(identity="Wrk.env.prod")
    b.give(wrk, b.take(wrk))
    assert not Action.objects.filter(is_queued=True).exists()


def test_steps_without_an_id_get_default_ids_and_keep_their_actions(tmp_path: Path, client: Client) -> None:
    other = {"name": "Then", "packName": "Wrk", "input": None}
    flow = o.flow("nameless", o.step("x"), o.step(""), o.step("", ["x"], command=other))
    actions = [o.action(flow, DONE, "x", "NEW"), o.action(flow, DONE, "", "NEW", name="Then")]
    dump(tmp_path, flow=[flow], flowHistory=[flow], action=actions)
    assert run(tmp_path) == 0
    execution = client.get(f"/v1/audit/flows/{DONE}").json()
    assert [step["id"] for step in execution["steps"]] == ["x", "step-2", "step-3"]
    assert sorted(execution["actions"]) == ["step-3", "x"]


def test_data_that_cannot_be_imported_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    actions = [
        o.action(FLOW, DONE, "one", "NEW"),
        o.action(FLOW, DONE, "one", "NEW"),
        o.action(FLOW, FAILED, "one", "BROKEN"),
        o.action({"name": "gone", "uuid": o.new_id()}, TAKEN, "one", "NEW"),
        {"_id": "no execution"},
    ]
    assert run(dump(tmp_path, action=actions)) == 1
    messages = capsys.readouterr().err
    for fault in ("duplicate action of step 'one'", "unknown state 'BROKEN'", "its flow version was not found"):
        assert fault in messages
    assert "error: action 'no execution' of collection 'action' has no id or no correlationId" in messages
    assert list(Execution.objects.values_list("id", flat=True)) == [DONE]


def test_a_dump_without_a_collection_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump(tmp_path)
    (tmp_path / "flow.bson").unlink()
    assert run(tmp_path) == 0
    assert capsys.readouterr().err == "warning: collection 'flow' not found; nothing is imported from it\n"


def test_an_error_in_the_middle_says_what_was_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dump(tmp_path)
    (tmp_path / "flow.bson").write_bytes(b"noise")
    assert run(tmp_path) == 2
    assert capsys.readouterr().out.startswith("packs              2 new\ndatastore items    1 new\n")


def test_a_value_without_a_json_type_is_reported_and_the_rest_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = o.flow("odd", o.step("one", command={"name": "Do", "packName": "Wrk", "input": MinKey()}))
    dump(tmp_path, flow=[FLOW, odd], flowHistory=[FLOW], action=[o.action(FLOW, DONE, "one", "NEW", input=MaxKey())])
    assert run(tmp_path) == 1
    messages = capsys.readouterr().err
    assert "error: flows: 'odd': value of type MinKey cannot be imported" in messages
    assert f"error: execution '{DONE}': value of type MaxKey cannot be imported" in messages
    assert [flow.name for flow in Flow.objects.all()] == ["ex"]


def test_a_go_pack_reads_the_numbers_of_an_imported_flow_as_integers(tmp_path: Path) -> None:
    """Go's JSON has floats only, and MongoDB stores them as doubles."""
    command = {"name": "Do", "packName": "Wrk", "input": {"count": 10.0, "share": 0.5, "huge": 1e21, "list": [-3.0]}}
    flow = o.flow("numbers", o.step("one", command=command))
    dump(tmp_path, flow=[flow], flowHistory=[flow], action=[])
    assert run(tmp_path) == 0
    b.tell(Pack.objects.get(identity="Src"), "Go")
    action = b.take(Pack.objects.get(identity="Wrk.env.prod"))
    assert json.dumps(action.input) == '{"count": 10, "share": 0.5, "huge": 1e+21, "list": [-3]}'


@pytest.mark.parametrize("zipped", [False, True])
def test_the_folder_is_the_databases_or_its_parent_and_files_can_be_gzipped(tmp_path: Path, zipped: bool) -> None:
    o.write(tmp_path / "flyte", {"datastore": [o.item("k", b"v", "text/plain")]}, zipped=zipped)
    assert run(tmp_path) == 0
    assert Item.objects.get().content_type == "text/plain"


def test_actions_of_an_older_database_are_in_a_second_collection_too(tmp_path: Path) -> None:
    finished = o.action(FLOW, DONE, "one", "NEW", "PENDING", "SUCCESS")
    running = o.action(FLOW, TAKEN, "one", "NEW", "PENDING")
    for action in (finished, running):
        del action["states"], action["trigger"]["createdAt"], action["trigger"]["receivedAt"]
    dump(tmp_path, audit=[finished, {**running, "state": {"value": "NEW", "time": o.at(0)}}], action=[running])
    assert run(tmp_path) == 0
    states = dict(Action.objects.values_list("correlation_id", "state"))
    assert states == {DONE: "SUCCESS", TAKEN: "PENDING"}


@pytest.mark.parametrize("what", ["nothing", "cut", "noise", "file", "both"])
def test_an_invalid_dump_is_an_error_in_one_line(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    dump(tmp_path / "dump")
    file = tmp_path / "dump" / "pack.bson"
    file.write_bytes(file.read_bytes()[:-3] if what == "cut" else b"noise" * 9)
    arguments = {"nothing": f"{tmp_path}", "file": f"{file}", "both": f"{tmp_path} --uri mongodb://x"}
    with pytest.raises(CommandError) as raised:
        call_command("import_mongodump", *arguments.get(what, f"{file.parent}").split())
    assert raised.value.returncode == 2
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_dump_is_an_error_that_names_it(tmp_path: Path) -> None:
    for folder, message in (
        (tmp_path, f"{tmp_path}: no mongodump files found (expected pack.bson, flow.bson, …)"),
        (tmp_path / "nope", f"{tmp_path}/nope: folder not found"),
    ):
        with pytest.raises(CommandError) as raised:
            call_command("import_mongodump", str(folder))
        assert str(raised.value) == message


def test_converted_ids_are_stable_and_sorted_by_time() -> None:
    old = "5ab24a266f42ed00054733d9"
    assert convert_id(old, o.BEGAN) == convert_id(old, timezone.now())
    assert min_id_at(o.BEGAN) > convert_id(old, o.BEGAN)
    assert convert_id(o.new_id(), o.BEGAN) < convert_id(o.new_id(5), o.BEGAN) < new_id()
    assert len(convert_id("odd", o.BEGAN)) == 24


def test_a_flow_that_an_earlier_release_imported_with_floats_gives_integers() -> None:
    b.pack("Src")
    worker = b.pack("Wrk")
    flow = b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": {"count": 5, "list": [7]}}))
    version = FlowVersion.objects.get(flow_name=flow.name)
    version.document["steps"][0]["command"]["input"] = {"count": 5.0, "list": [7.0]}
    FlowVersion.objects.filter(id=version.id).update(document=version.document)
    b.tell(Pack.objects.get(identity="Src"))
    assert json.dumps(b.take(worker).input) == '{"count": 5, "list": [7]}'


def test_bson_values_convert_to_json() -> None:
    document = {"a": Int64(5), "b": o.BEGAN, "c": [float("nan"), True, None], 1: ObjectId("5" * 24)}
    assert to_json_value(document) == {"a": 5, "b": "2026-11-20T05:30:29.463Z", "c": [None, True, None], "1": "5" * 24}
    assert type(to_json_value(Int64(5))) is int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00\xff", '"AP8="'),
        (Binary(b"\x00", 5), '"AA=="'),
        (Timestamp(1, 2), "4294967298"),
        (Regex("^a", "i"), '{"Pattern": "^a", "Options": "i"}'),
        (Decimal128("3.50"), "3.5"),
        (Decimal128("3.00"), "3"),
        (10.0, "10"),
        (0.0, "0"),
        (-0.0, "-0.0"),
        (1e20, "100000000000000000000"),
        (1.2345678901234567e19, "12345678901234567000"),
        (1e21, "1e+21"),
        (-1e21, "-1e+21"),
        (0.1, "0.1"),
    ],
)
def test_bson_values_convert_to_the_json_of_the_original(value: Any, text: str) -> None:
    assert json.dumps(to_json_value(value)) == text
