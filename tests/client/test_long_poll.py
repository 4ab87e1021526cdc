"""Long polls: used if the server offers them, and ended on shutdown."""

import threading
from typing import Any

import pytest

from flyte_client import Event, Pack
from flyte_client.transport import server

from .conftest import Running
from .stub_server import PATIENCE, StubResponse, StubServer

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _long_poll(stub: StubServer) -> None:
    stub.long_poll = 30


def echo_pack(stub: StubServer, poll_interval: float = 3600.0) -> Pack:
    """Build a pack with a very long poll interval, so that only a long poll returns an action in time."""
    pack = Pack("Echo", api_url=stub.url, poll_interval=poll_interval)

    @pack.command("Say", events=["Said"])
    def say(action_input: Any) -> Event:
        return Event("Said", action_input)

    return pack


def queries(stub: StubServer) -> list[str]:
    return [call.query for call in stub.of("take")]


def test_a_poll_waits_where_the_server_offers_it(stub: StubServer, running: Running) -> None:
    with running(echo_pack(stub)):
        stub.wait_for("take")
        stub.queue("Say", 1)
        stub.wait_for("result", payload=1)
        stub.wait_for("take", 2)
        stub.queue("Say", 2, action="a2")
        stub.wait_for("result", payload=2)
    assert set(queries(stub)) == {"wait=30"}


@pytest.mark.parametrize(("offer", "query"), [("12", "wait=12"), ("600", "wait=30"), ("0", ""), ("-1", ""), ("x", "")])
def test_a_poll_waits_no_longer_than_server_and_pack_allow(
    stub: StubServer, running: Running, offer: str, query: str
) -> None:
    stub.long_poll = offer  # type: ignore[assignment]
    with running(echo_pack(stub)):
        stub.wait_for("take")
    assert queries(stub)[0] == query


def test_a_server_without_the_offer_is_polled_at_intervals(stub: StubServer, running: Running) -> None:
    stub.script("take", StubResponse(204, headers={"Retry-After": "0"}))
    with running(echo_pack(stub, poll_interval=0.02)):
        stub.wait_for("take", 3)
        stub.long_poll = 0
    assert queries(stub)[:2] == ["wait=30", ""]


def test_a_rejected_long_poll_is_repeated_after_the_servers_pause(stub: StubServer, running: Running) -> None:
    offer = {"Flyte-Long-Poll": "30"}
    stub.script(
        "take",
        StubResponse(204, headers=offer | {"Retry-After": "0"}),
        StubResponse(204, headers=offer | {"Retry-After": "3600"}),
    )
    with running(echo_pack(stub, poll_interval=0.02)):
        stub.wait_for("take", 2)
    assert queries(stub) == ["wait=30", "wait=30"]


def test_an_early_empty_response_is_followed_by_the_usual_pause(stub: StubServer, running: Running) -> None:
    stub.script("take", StubResponse(204, headers={"Flyte-Long-Poll": "30"}))
    with running(echo_pack(stub)):
        stub.wait_for("take")
    assert len(stub.of("take")) == 1


def test_a_stop_ends_the_wait(stub: StubServer, running: Running) -> None:
    pack = echo_pack(stub)
    with running(pack) as thread:
        stub.wait_for("take")
        pack.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert (stub.disconnects, len(stub.of("take"))) == (1, 1)


def test_an_action_that_arrives_during_a_stop_is_done(stub: StubServer, running: Running) -> None:
    stub.last_command = "Say"
    pack = echo_pack(stub)
    with running(pack) as thread:
        stub.wait_for("take")
        pack.stop()
        thread.join(PATIENCE)
    assert len(stub.of("result")) == 1


def test_a_stop_ends_the_poll_even_if_the_server_ignores_disconnects(
    stub: StubServer, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "POLL_ABORT_SECONDS", 0.1)
    stub.ignores_disconnects = True
    pack = echo_pack(stub)
    with running(pack) as thread:
        stub.wait_for("take")
        pack.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert stub.disconnects == 0


def test_stopping_when_idle_ends_the_poll_after_a_last_take(stub: StubServer, running: Running) -> None:
    stub.last_command = "Say"
    pack = echo_pack(stub)
    with running(pack) as thread:
        stub.wait_for("take")
        pack.stop(when_idle=True)
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(stub.of("result")) == 1
    assert queries(stub)[0] == "wait=30"
    assert queries(stub)[-1] == ""


def test_a_stop_while_all_threads_are_busy_only_waits_for_the_handlers(stub: StubServer, running: Running) -> None:
    pack = Pack("Slow", api_url=stub.url, concurrency=1)
    started, released = threading.Event(), threading.Event()

    @pack.command("Work", events=["Worked"])
    def work(action_input: Any) -> Event:
        started.set()
        released.wait(PATIENCE)
        return Event("Worked", action_input)

    with running(pack) as thread:
        stub.wait_for("take")
        stub.queue("Work", "held")
        assert started.wait(PATIENCE)
        pack.stop()
        released.set()
        thread.join(PATIENCE)
    assert [call.body["payload"] for call in stub.of("result")] == ["held"]
