"""The library with the original server's recorded responses."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from flyte_client import Event, Pack, settings
from flyte_client.transport import retry

from .conftest import Running
from .original_server import OriginalServer

pytestmark = pytest.mark.integration


@dataclass
class Work:
    """The recorded action's input, in which the original prints the number 5 as 5.000000."""

    hi: str
    n: int
    raw: int
    list: list[Any]


@pytest.fixture
def original() -> Iterator[OriginalServer]:
    server = OriginalServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pack(original: OriginalServer) -> Pack:
    pack = Pack("Wrk", api_url=original.url, poll_interval=0.02)

    @pack.command("Do", events=["Done"])
    def do(work: Work) -> Event:
        return Event("Done", {"hi": work.hi, "sum": work.n + work.raw})

    return pack


def test_an_action_is_taken_and_its_result_posted(original: OriginalServer, running: Running, pack: Pack) -> None:
    original.waiting = 1
    with running(pack):
        (call,) = original.wait_for("result")
        pack.send("Asked", {"n": 1})
        assert pack.server_is_healthy()
    assert (call.body["event"], call.body["payload"]) == ("Done", {"hi": "hello ann", "sum": 12})
    assert call.path.endswith("/actions/6b012c75686c8261d5a567bf/result")
    assert original.of("unknown") == []


def test_polls_are_short_and_actions_have_no_heartbeat(original: OriginalServer, running: Running, pack: Pack) -> None:
    original.waiting = 1
    before = threading.enumerate()  # other tests may have left some
    with running(pack):
        original.wait_for("take", 5)
        assert not [thread for thread in threading.enumerate() if thread.name == "heartbeats" and thread not in before]
    assert {call.query for call in original.of("take")} == {""}


def test_the_default_poll_interval_is_five_seconds() -> None:
    assert settings.DEFAULT_POLL_INTERVAL == 5.0


def test_a_forgotten_pack_registers_again_at_the_original(
    original: OriginalServer, running: Running, pack: Pack
) -> None:
    with running(pack):
        original.wait_for("take")
        original.forget_packs()
        original.waiting = 1
        original.wait_for("result")
        original.forget_packs()
        pack.send("Asked")
    assert len(original.of("packs")) == 3


def test_a_result_whose_response_was_lost_is_dropped_after_the_limit(
    original: OriginalServer,
    running: Running,
    pack: Pack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(retry, "MAX_SERVER_ERROR_SECONDS", 0.1)
    original.waiting, original.lose_answer = 1, True
    with running(pack) as thread:
        original.wait_for("result", 3)
        pack.stop()
        thread.join()
    assert [message for message in caplog.messages if message.startswith("result_refused command=Do status=500")]
    assert len({str(call.body) for call in original.of("result")}) == 1
