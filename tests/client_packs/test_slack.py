"""The Slack pack with a local stub of Slack."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.stub_server import StubResponse, StubServer
from tests.examples.world import ExampleClient, states
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually
from .slack_server import ANN_PAYLOAD, Workspace, running_workspace

pytestmark = pytest.mark.integration

MESSAGE = {"type": "message", "user": "U1", "channel": "C1", "text": "hi there", "ts": "17.000001"}
MESSAGE_PAYLOAD = {
    "channelId": "C1",
    "user": ANN_PAYLOAD,
    "message": "hi there",
    "timestamp": "17.000001",
    "threadTimestamp": "17.000001",
    "replyCount": 0,
    "replies": [],
}
INPUT = {"message": "hello", "channelId": "C1", "threadTimestamp": "17.000001"}
RICH = {"channel": "C1", "attachments": [{"title": "Deployment", "fields": [{"title": "App", "short": True}]}]}


@pytest.fixture
def slack() -> Iterator[Workspace]:
    with running_workspace() as workspace:
        yield workspace


def received(stub: StubServer, count: int = 1, event: str = "ReceivedMessage") -> list[Any]:
    return [call.body["payload"] for call in stub.wait_for("event", count, event=event)]


def result(stub: StubServer, event: str) -> Any:
    return stub.wait_for("result", event=event)[0].body["payload"]


@pytest.mark.acceptance
def test_a_message_is_answered_in_its_thread(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, slack: Workspace
) -> None:
    world.load("echo.yaml")
    program = start_pack("slack", packs_server.url, **slack.variables)
    slack.wait_for_sockets()
    slack.send_event(MESSAGE | {"text": "echo one < two"})
    eventually(lambda: world.executions("echo", state="succeeded"))
    assert slack.posted() == [{"channel": "C1", "text": "<@U1>, you said: one < two", "thread_ts": "17.000001"}]
    assert states(world.execution("echo")) == {"echo": "SUCCESS"}
    slack.send_event(MESSAGE | {"text": "echo one < two"}, envelope="e2", retry_attempt=1)
    slack.wait_for_acknowledgement("e2")
    assert len(world.executions("echo")) == 1, "an event that Slack told twice counted twice"
    program.signal()
    assert program.exit_code() == 0
    assert "s3cret" not in "".join(program.log)
    assert "t1cket" not in "".join(program.log)


def test_a_message_has_its_user_who_is_fetched_once(stub: StubServer, start_pack: StartPack, slack: Workspace) -> None:
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    slack.send_event(MESSAGE)
    slack.send_event(MESSAGE | {"ts": "17.000002", "thread_ts": "17.000001"}, "Ev2", "e2")
    assert received(stub, 2) == [MESSAGE_PAYLOAD, MESSAGE_PAYLOAD | {"timestamp": "17.000002"}]
    slack.wait_for_acknowledgement("e2")
    assert len(slack.web.of("/api/users.info")) == 1
    assert [call.headers["Idempotency-Key"] for call in stub.of("event")] == ["slack/Ev1", "slack/Ev2"]


def test_a_reaction_has_the_originals_shape(stub: StubServer, start_pack: StartPack, slack: Workspace) -> None:
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    item = {"type": "message", "channel": "C1", "ts": "17.000001"}
    slack.send_event(
        {
            "type": "reaction_added",
            "user": "U1",
            "reaction": "eyes",
            "item_user": "U9",
            "item": item,
            "event_ts": "18.1",
        }
    )
    nobody = dict.fromkeys(ANN_PAYLOAD, "")
    assert received(stub, event="ReactionAdded") == [
        {
            "channelId": "C1",
            "user": ANN_PAYLOAD,
            "reaction": "eyes",
            "eventTimestamp": "18.1",
            "type": "message",
            "itemTimestamp": "17.000001",
            "itemUser": nobody | {"id": "U9"},
        }
    ]


@pytest.mark.parametrize(
    "event",
    [
        MESSAGE | {"user": "UBOT"},
        MESSAGE | {"subtype": "message_changed"},
        {"type": "message", "subtype": "bot_message", "channel": "C1", "text": "no user"},
        {"type": "app_home_opened", "user": "U1"},
        "no event at all",
    ],
)
def test_other_events_are_only_acknowledged(
    stub: StubServer, start_pack: StartPack, slack: Workspace, event: Any
) -> None:
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    slack.send_event(event)
    slack.wait_for_acknowledgement("e1")
    slack.send_event(MESSAGE, "Ev2", "e2")
    assert received(stub) == [MESSAGE_PAYLOAD]


def test_a_message_with_values_that_json_cannot_hold_is_not_lost(
    stub: StubServer, start_pack: StartPack, slack: Workspace
) -> None:
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    slack.send_event(MESSAGE | {"text": "half \ud800 a pair", "replies": [{"ts": float("nan"), "n": float("inf")}]})
    slack.wait_for_acknowledgement("e1")
    text, replies = "half \ufffd a pair", [{"ts": None, "n": None}]
    assert received(stub) == [MESSAGE_PAYLOAD | {"message": text, "replies": replies}]


def test_an_event_is_acknowledged_only_after_flyte_accepted_it(
    stub: StubServer, start_pack: StartPack, slack: Workspace
) -> None:
    stub.script("event", StubResponse(503, headers={"Retry-After": "3600"}))
    program = start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    slack.send_event(MESSAGE)
    program.wait_for_log("server_away")
    assert slack.acknowledged == []
    program.kill()
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets(2)
    slack.send_event(MESSAGE, envelope="e2", retry_attempt=1)
    slack.wait_for_acknowledgement("e2")
    first, second = stub.of("event")
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


@pytest.mark.parametrize(("status", "acknowledged"), [(422, True), (413, True), (401, False)])
def test_a_rejected_event_does_not_block_the_next(
    stub: StubServer, start_pack: StartPack, slack: Workspace, status: int, acknowledged: bool
) -> None:
    stub.script("event", StubResponse(status))
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    slack.send_event(MESSAGE)
    slack.send_event(MESSAGE | {"text": "next"}, "Ev2", "e2")
    slack.wait_for_acknowledgement("e2")
    assert ("e1" in slack.acknowledged) == acknowledged


def disconnect(slack: Workspace) -> None:
    slack.send({"type": "disconnect", "reason": "refresh_requested"})


@pytest.mark.parametrize("end", [disconnect, lambda slack: slack.sockets[-1].close()])
def test_the_pack_reconnects(stub: StubServer, start_pack: StartPack, slack: Workspace, end: Any) -> None:
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()
    end(slack)
    slack.wait_for_sockets(2)
    slack.send_event(MESSAGE)
    slack.wait_for_acknowledgement("e1")
    assert received(stub) == [MESSAGE_PAYLOAD]


def test_the_pack_connects_once_slack_is_reachable(stub: StubServer, start_pack: StartPack, slack: Workspace) -> None:
    slack.web.script("/api/auth.test", None, StubResponse(503, b"<html>"))
    slack.web.script("/api/apps.connections.open", StubResponse(429, {"ok": False}, {"Retry-After": "1"}))
    start_pack("slack", stub.url, **slack.variables)
    slack.wait_for_sockets()


def test_the_pack_joins_the_configured_channel_and_continues_on_failure(
    stub: StubServer, start_pack: StartPack, slack: Workspace
) -> None:
    slack.web.script("/api/conversations.join", StubResponse(200, {"ok": False, "error": "method_not_supported"}))
    program = start_pack("slack", stub.url, **slack.variables, FLYTE_SLACK_DEFAULT_JOIN_CHANNEL="C7")
    (request,) = slack.web.wait_for("/api/conversations.join")
    assert request.body == {"channel": "C7"}
    slack.wait_for_sockets()
    program.wait_for_log("channel_not_joined channel=C7")


def test_a_message_is_sent(stub: StubServer, start_pack: StartPack, slack: Workspace) -> None:
    stub.queue("SendMessage", INPUT)
    start_pack("slack", stub.url, **slack.variables)
    assert result(stub, "MessageSent") == INPUT | {"timestamp": "17.000100"}
    assert slack.posted() == [{"channel": "C1", "text": "hello", "thread_ts": "17.000001"}]


def test_a_rich_message_is_sent_unchanged(stub: StubServer, start_pack: StartPack, slack: Workspace) -> None:
    stub.queue("SendRichMessage", RICH)
    start_pack("slack", stub.url, **slack.variables)
    assert result(stub, "RichMessageSent") == RICH
    assert slack.posted() == [RICH]


@pytest.mark.parametrize(
    ("action_input", "error"),
    [
        ({"message": "x"}, "required: channelId"),
        ({}, "required: message, channelId"),
        ({"message": {"a": 1}, "channelId": "C1"}, "must be a string: message"),
    ],
)
def test_an_invalid_message_is_reported(
    stub: StubServer, start_pack: StartPack, slack: Workspace, action_input: Any, error: str
) -> None:
    stub.queue("SendMessage", action_input)
    start_pack("slack", stub.url, **slack.variables)
    payload = result(stub, "SendMessageFailed")
    assert (payload["error"], payload["temporary"]) == (error, False)
    assert slack.web.of("/api/chat.postMessage") == []


@pytest.mark.parametrize("action_input", ["text", {"channel": "C1"}, RICH | {"token": "xoxb-other"}])
def test_an_invalid_rich_message_is_reported(
    stub: StubServer, start_pack: StartPack, slack: Workspace, action_input: Any
) -> None:
    stub.queue("SendRichMessage", action_input)
    start_pack("slack", stub.url, **slack.variables)
    payload = result(stub, "SendRichMessageFailed")
    assert (payload["inputMessage"], payload["temporary"]) == (action_input, False)
    assert slack.web.of("/api/chat.postMessage") == []


@pytest.mark.parametrize(
    ("answer", "error", "temporary"),
    [
        (StubResponse(200, {"ok": False, "error": "channel_not_found"}), "channel_not_found", False),
        (
            StubResponse(200, {"ok": False, "error": "missing_scope", "needed": "chat:write"}),
            "missing_scope (requires chat:write)",
            False,
        ),
        (StubResponse(500, {"ok": False, "error": "internal_error"}), "internal_error", True),
        (StubResponse(502, b"<html>"), "Received a response in a non-JSON format", True),
        (None, "Slack is unreachable", True),
        (StubResponse(429, {"ok": False}, {"Retry-After": "3600"}), "ratelimited: Slack asks to wait 3600", True),
    ],
)
def test_slacks_refusal_is_reported_and_not_retried(
    stub: StubServer, start_pack: StartPack, slack: Workspace, answer: StubResponse | None, error: str, temporary: bool
) -> None:
    slack.web.script("/api/chat.postMessage", answer)
    stub.queue("SendMessage", INPUT)
    start_pack("slack", stub.url, **slack.variables)
    payload = result(stub, "SendMessageFailed")
    assert payload["error"].startswith(error)
    assert payload == INPUT | {"error": payload["error"], "temporary": temporary}
    assert len(slack.posted()) == 1


def test_a_rate_limit_is_waited_out(stub: StubServer, start_pack: StartPack, slack: Workspace) -> None:
    slack.web.script(
        "/api/chat.postMessage", StubResponse(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"})
    )
    stub.queue("SendMessage", INPUT)
    program = start_pack("slack", stub.url, **slack.variables)
    result(stub, "MessageSent")
    assert len(slack.posted()) == 2
    program.wait_for_log("rate_limited method=chat.postMessage wait_s=1")


@pytest.mark.parametrize("name", ["FLYTE_SLACK_TOKEN", "FLYTE_SLACK_APP_TOKEN"])
def test_a_token_that_slack_rejects_ends_the_pack(
    stub: StubServer, start_pack: StartPack, slack: Workspace, name: str
) -> None:
    wrong = slack.variables[name].replace("s3cret", "wr0ng")
    program = start_pack("slack", stub.url, **(slack.variables | {name: wrong}))
    assert program.exit_code() == 2
    assert program.log[-1] == f"Slack: {name}: Slack refused the token (invalid_auth)\n"
    assert "wr0ng" not in "".join(program.log)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "FLYTE_SLACK_TOKEN: required"),
        ({"FLYTE_SLACK_TOKEN": "xapp-1"}, "FLYTE_SLACK_TOKEN: wrong kind of token"),
        ({"FLYTE_SLACK_TOKEN": "xoxb-1", "FLYTE_SLACK_APP_TOKEN": "xoxb-1"}, "FLYTE_SLACK_APP_TOKEN: wrong"),
        (
            {"FLYTE_SLACK_TOKEN": "xoxb-1", "FLYTE_SLACK_API_URL": "http://slack.example.com"},
            "FLYTE_SLACK_API_URL: must start with https://",
        ),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, settings: dict[str, str], words: str
) -> None:
    program = start_pack("slack", stub.url, **settings)
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith(f"Slack: {words}")
