"""A running pack with recorded responses: its calls, and its reaction to each response."""

import threading
from typing import Any

import pytest

from flyte_client import Event, Pack, RefusedError

from .conftest import Running
from .stub_server import PATIENCE, StubResponse, StubServer

pytestmark = pytest.mark.integration


def echo_pack(stub: StubServer, **options: Any) -> Pack:
    settings: dict[str, Any] = {"api_url": stub.url, "poll_interval": 0.02} | options
    pack = Pack("Echo", **settings)

    @pack.command("Say", events=["Said", "Failed"])
    def say(action_input: Any) -> Event:
        return Event("Said", {"said": action_input})

    return pack


def test_registers_with_all_that_it_declares(
    stub: StubServer, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYTE_LABELS", "env=prod,az:b")
    pack = echo_pack(stub, labels={"env": "dev", "team": "x"}, help_url="http://help.example.org/echo")
    pack.event("Heard")
    with running(pack):
        (call,) = stub.wait_for("packs")
    assert call.body == {
        "name": "Echo",
        "labels": {"env": "prod", "team": "x", "az": "b"},
        "commands": [{"name": "Say", "events": ["Said", "Failed"]}],
        "events": [{"name": "Heard"}, {"name": "Said"}, {"name": "Failed"}],
        "links": [{"rel": "help", "href": "http://help.example.org/echo"}],
    }


def test_an_action_goes_to_its_handler_and_its_event_to_the_result_link(stub: StubServer, running: Running) -> None:
    stub.queue("Say", {"text": "hello é"}, action="b7")
    with running(echo_pack(stub)):
        (call,) = stub.wait_for("result")
    assert call.path == "/p/Echo/work/b7/done"
    assert call.body["event"] == "Said"
    assert call.body["payload"] == {"said": {"text": "hello é"}}
    assert call.body["createdAt"].endswith("Z")


def test_the_address_can_be_that_of_the_version(stub: StubServer, running: Running) -> None:
    with running(echo_pack(stub, api_url=f"{stub.url}/current/")):
        stub.wait_for("take")
    assert stub.of("root") == []


def test_every_call_carries_the_token(stub: StubServer, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYTE_JWT", "head.claims.signature")
    stub.queue("Say")
    with running(echo_pack(stub)):
        stub.wait_for("result")
    assert {call.headers.get("Authorization") for call in stub.calls} == {"Bearer head.claims.signature"}


def test_polls_again_at_once_after_an_action(stub: StubServer, running: Running) -> None:
    for number in range(3):
        stub.queue("Say", number, action=f"a{number}")
    # With an hour between polls the second action only comes in time if no pause follows an action.
    with running(echo_pack(stub, poll_interval=3600.0)):
        results = stub.wait_for("result", 3)
    assert sorted(call.body["payload"]["said"] for call in results) == [0, 1, 2]


def test_retry_after_of_an_empty_response_is_the_next_pause(stub: StubServer, running: Running) -> None:
    stub.script(
        "take", StubResponse(204, headers={"Retry-After": "0"}), StubResponse(204, headers={"Retry-After": "3600"})
    )
    with running(echo_pack(stub, poll_interval=3600.0)):
        stub.wait_for("take", 2)
    assert len(stub.of("take")) == 2


def test_an_error_in_a_handler_is_a_fatal_event_with_message_and_traceback(stub: StubServer, running: Running) -> None:
    pack = Pack("Broken", api_url=stub.url, poll_interval=0.02)

    @pack.command("Divide", events=["Divided"])
    def divide(given: Any) -> Event:
        return Event("Divided", 1 / given)

    stub.queue("Divide", 0)
    with running(pack):
        (call,) = stub.wait_for("result", event="FATAL")
    assert call.body["payload"]["message"] == "ZeroDivisionError: division by zero"
    assert 'return Event("Divided", 1 / given)' in call.body["payload"]["traceback"]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Event("Said", {1, 2}), "TypeError: Object of type set is not JSON serializable"),
        (Event("Said", float("nan")), "ValueError: Out of range float values are not JSON compliant"),
        (None, "TypeError: the handler of Say returned NoneType, expected an Event"),
    ],
)
def test_a_result_that_is_not_an_event_in_json_is_fatal(
    stub: StubServer, running: Running, result: Any, message: str
) -> None:
    pack = Pack("Odd", api_url=stub.url, poll_interval=0.02)
    pack.command("Say", events=["Said"])(lambda action_input: result)
    stub.queue("Say")
    with running(pack):
        (call,) = stub.wait_for("result", event="FATAL")
    assert message in call.body["payload"]["message"]


def test_unpaired_surrogates_of_a_result_and_an_event_are_replaced(stub: StubServer, running: Running) -> None:
    pack = Pack("Odd", api_url=stub.url, poll_interval=0.02)
    pack.event("Heard")
    said = {"text": "half \ud83d", "\udcff": ["\ude00!", "\ud83d\ude00"]}
    pack.command("Say", events=["Said"])(lambda action_input: Event("Said", said))
    stub.queue("Say")
    with running(pack):
        (result,) = stub.wait_for("result", event="Said")
        pack.send("Heard", said, key="kéy \ud83d")
    assert result.body["payload"] == {"text": "half \ufffd", "\ufffd": ["\ufffd!", "😀"]}
    (event,) = stub.of("event")
    assert event.body["payload"] == result.body["payload"]
    assert event.headers["Idempotency-Key"].encode("latin-1").decode() == "kéy \ufffd"


def test_an_unknown_command_is_fatal(stub: StubServer, running: Running) -> None:
    stub.queue("Sing")
    with running(echo_pack(stub)):
        (call,) = stub.wait_for("result", event="FATAL")
    assert "unknown command 'Sing'" in call.body["payload"]["message"]


def test_handlers_run_concurrently_up_to_the_limit(stub: StubServer, running: Running) -> None:
    pack = Pack("Wide", api_url=stub.url, poll_interval=0.02, concurrency=2)
    meeting, leave = threading.Barrier(3), threading.Event()

    @pack.command("Wait", events=["Waited"])
    def wait(action_input: Any) -> Event:
        if action_input != "last":
            meeting.wait(PATIENCE)
        leave.wait(PATIENCE)
        return Event("Waited", action_input)

    for number, action_input in enumerate(["first", "second", "last"]):
        stub.queue("Wait", action_input, action=f"a{number}")
    with running(pack):
        meeting.wait(PATIENCE)
        assert len(stub.of("take")) == 2, "an action was taken for which no thread was free"
        leave.set()
        stub.wait_for("result", 3)


def test_a_pack_waits_for_an_unreachable_server(stub: StubServer, running: Running) -> None:
    stub.stop()
    with running(echo_pack(stub)):
        stub.queue("Say", "after all")
        stub.start()
        (call,) = stub.wait_for("result")
    assert call.body["payload"] == {"said": "after all"}


@pytest.mark.parametrize("kind", ["root", "v1", "packs", "take", "result"])
@pytest.mark.parametrize("status", [500, 503, 429])
def test_each_call_is_retried_after_a_temporary_error(
    stub: StubServer, running: Running, kind: str, status: int
) -> None:
    stub.script(
        kind, StubResponse(status, headers={"Retry-After": "0"}), StubResponse(status, headers={"Retry-After": "0"})
    )
    stub.queue("Say", "kept")
    with running(echo_pack(stub)):
        calls = stub.wait_for("result", 3 if kind == "result" else 1)
    assert calls[-1].body["payload"] == {"said": "kept"}
    assert len({str(call.body) for call in calls}) == 1, "a repeated result must be the same as the first"


def test_a_forgotten_pack_registers_again(stub: StubServer, running: Running) -> None:
    with running(echo_pack(stub)):
        stub.wait_for("take")
        stub.forget_packs()
        stub.queue("Say", "again")
        stub.wait_for("packs", 2)
        (call,) = stub.wait_for("result")
    assert call.body["payload"] == {"said": "again"}


def test_an_event_of_a_forgotten_pack_is_sent_after_registering_again(stub: StubServer) -> None:
    pack = Pack("News", api_url=stub.url)
    pack.event("Told")
    pack.send("Told", 1)
    stub.forget_packs()
    pack.send("Told", 2)
    assert [call.body["payload"] for call in stub.of("event")] == [1, 2, 2]
    assert len(stub.of("packs")) == 2


def test_events_are_sent_without_running_and_tried_again(stub: StubServer) -> None:
    stub.script("event", StubResponse(503, headers={"Retry-After": "0"}), StubResponse(500))
    Pack("News", api_url=stub.url).send("Told", {"n": 1})
    assert [call.body["payload"] for call in stub.of("event")] == [{"n": 1}] * 3


def test_an_event_keeps_its_unique_key_and_bytes_in_all_attempts(stub: StubServer) -> None:
    pack = Pack("News", api_url=stub.url)
    pack.event("Told")
    pack.send("Told", 1)
    stub.forget_packs()
    stub.script("event", StubResponse(503, headers={"Retry-After": "0"}))
    pack.send("Told", 1)
    first, *attempts = stub.of("event")
    assert len(attempts) == 3
    assert len({(call.headers["Idempotency-Key"], str(call.body)) for call in attempts}) == 1
    assert first.headers["Idempotency-Key"] != attempts[0].headers["Idempotency-Key"]


def test_a_rejected_event_raises_with_the_servers_message(stub: StubServer) -> None:
    faults = [{"path": "event", "message": "is required"}]
    stub.script("event", StubResponse(400, {"title": "Bad Request", "detail": "no event", "errors": faults}))
    with pytest.raises(RefusedError, match="400: Bad Request; no event; event: is required"):
        Pack("News", api_url=stub.url).send("")
    assert len(stub.of("event")) == 1


def test_a_result_of_a_forgotten_pack_is_posted_after_registering_again(stub: StubServer, running: Running) -> None:
    stub.script("result", StubResponse(404))
    stub.queue("Say", "kept")
    with running(echo_pack(stub)):
        calls = stub.wait_for("result", 2)
    assert len(stub.of("packs")) == 2
    assert len({str(call.body) for call in calls}) == 1
    assert "Idempotency-Key" not in calls[0].headers, "what a result answers for is in its address"


def test_a_result_of_a_deleted_action_is_dropped(stub: StubServer, running: Running) -> None:
    stub.script("result", StubResponse(404), StubResponse(404))
    stub.queue("Say", 1)
    with running(echo_pack(stub)):
        stub.wait_for("result", 2)
        stub.queue("Say", 2, action="a2")
        stub.wait_for("result", payload={"said": 2})
    assert [call.path.split("/")[4] for call in stub.of("result")] == ["a1", "a1", "a2"]


def test_a_result_that_was_already_decided_is_not_sent_again(stub: StubServer, running: Running) -> None:
    stub.script("result", StubResponse(409, {"title": "Conflict"}))
    stub.queue("Say", 1)
    with running(echo_pack(stub)):
        stub.wait_for("result")
        stub.queue("Say", 2, action="a2")
        stub.wait_for("result", payload={"said": 2})
    assert [call.body["event"] for call in stub.of("result")] == ["Said", "Said"]


def test_a_result_that_the_server_rejects_becomes_fatal(stub: StubServer, running: Running) -> None:
    stub.script("result", StubResponse(413, {"title": "Content Too Large", "detail": "limit of 1048576 bytes"}))
    stub.queue("Say", "long")
    with running(echo_pack(stub)):
        (call,) = stub.wait_for("result", event="FATAL")
    assert "413: Content Too Large; limit of 1048576 bytes" in call.body["payload"]["message"]


def test_a_rejected_poll_does_not_end_the_pack(stub: StubServer, running: Running) -> None:
    stub.script(
        "take",
        StubResponse(401),
        StubResponse(200, ["not", "an", "action"]),
        StubResponse(200, {"command": "Say", "links": []}),
    )
    stub.queue("Say", "still here")
    with running(echo_pack(stub)):
        stub.wait_for("result", payload={"said": "still here"})


def test_a_rejected_registration_ends_the_run(stub: StubServer) -> None:
    stub.script("packs", StubResponse(401, {"title": "Unauthorized"}))
    with pytest.raises(RefusedError, match="401: Unauthorized"):
        echo_pack(stub).run()


def test_an_address_of_another_service_is_reported(stub: StubServer) -> None:
    stub.script("root", StubResponse(200, {"links": []}))
    with pytest.raises(RefusedError, match=r"link 'pack/listPacks' not found at .*: check that this is a Flyte server"):
        echo_pack(stub).run()


def test_only_linked_addresses_are_requested(stub: StubServer, running: Running) -> None:
    stub.queue("Say")
    pack = echo_pack(stub)
    with running(pack):
        stub.wait_for("result")
        pack.send("Heard")
        assert pack.server_is_healthy()
    assert stub.of("unknown") == []


def test_health_is_requested_once(stub: StubServer) -> None:
    stub.script("health", StubResponse(500))
    assert not echo_pack(stub).server_is_healthy()
    stub.stop()
    assert not echo_pack(stub).server_is_healthy()


def test_stopping_finishes_running_handlers_and_posts_their_results(stub: StubServer, running: Running) -> None:
    pack = Pack("Slow", api_url=stub.url, poll_interval=0.02, concurrency=1)
    started, released = threading.Event(), threading.Event()

    @pack.command("Work", events=["Worked"])
    def work(action_input: Any) -> Event:
        started.set()
        released.wait(PATIENCE)
        return Event("Worked", action_input)

    stub.queue("Work", "held")
    with running(pack) as thread:
        assert started.wait(PATIENCE)
        pack.stop()
        stub.queue("Work", "not taken")
        released.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert [call.body["payload"] for call in stub.of("result")] == ["held"]


def test_a_result_at_the_end_is_retried_during_a_short_outage(stub: StubServer, running: Running) -> None:
    pack = echo_pack(stub)
    stub.script("result", StubResponse(503, headers={"Retry-After": "3600"}))
    stub.queue("Say", "late")
    with running(pack) as thread:
        stub.wait_for("result")
        pack.stop()
        thread.join(PATIENCE)
    assert len(stub.of("result")) == 2


def test_stopping_when_idle_first_does_queued_actions(stub: StubServer, running: Running) -> None:
    for number in range(3):
        stub.queue("Say", number, action=f"a{number}")
    pack = echo_pack(stub)
    pack.stop(when_idle=True)
    with running(pack) as thread:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(stub.of("result")) == 3


def test_a_pack_without_commands_does_not_poll(stub: StubServer, running: Running) -> None:
    pack = Pack("News", api_url=stub.url, poll_interval=0.01)
    pack.event("Told")
    with running(pack):
        pack.send("Told")
    assert stub.of("take") == []
