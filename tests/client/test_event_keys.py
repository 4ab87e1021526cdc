"""Events with the sender's key, and events with a deadline."""

import threading
from contextlib import suppress

import pytest

from flyte_client import Pack, ServerAwayError

from .stub_server import PATIENCE, StubResponse, StubServer

pytestmark = pytest.mark.integration


def test_an_event_with_a_key_has_the_same_bytes_from_any_sender(stub: StubServer) -> None:
    for _ in range(2):
        Pack("Echo", api_url=stub.url).send("Heard", {"n": 1}, key="heard/1")
    first, second = stub.of("event")
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == "heard/1"
    assert first.body == second.body == {"event": "Heard", "payload": {"n": 1}}


def test_an_event_without_a_key_has_its_time(stub: StubServer) -> None:
    Pack("Echo", api_url=stub.url).send("Heard")
    (call,) = stub.of("event")
    assert call.body["createdAt"].endswith("Z")


def test_the_key_stays_the_same_in_a_retry(stub: StubServer) -> None:
    stub.script("event", StubResponse(503, headers={"Retry-After": "0"}))
    Pack("Echo", api_url=stub.url).send("Heard", key="heard/1")
    assert [call.headers["Idempotency-Key"] for call in stub.of("event")] == ["heard/1", "heard/1"]


def test_a_repeated_event_is_reported_to_the_sender(stub: StubServer) -> None:
    pack = Pack("Echo", api_url=stub.url)
    assert pack.send("Heard", key="heard/1") is True
    for within in (None, 5.0):
        stub.script("event", StubResponse(202, headers={"Idempotent-Replayed": "true"}))
        assert pack.send("Heard", key="heard/1", within=within) is False
    stub.script("event", StubResponse(202, headers={"Idempotent-Replayed": "true"}))
    assert pack.send("Heard") is True, "a retry of the same call is not a repetition"


def test_an_event_with_a_deadline_fails_if_the_server_stays_unreachable(stub: StubServer) -> None:
    pack = Pack("Echo", api_url=stub.url)
    pack.send("Heard")
    stub.stop()
    with pytest.raises(ServerAwayError):
        pack.send("Heard", within=0.2)


def test_the_deadline_holds_while_another_thread_registers(stub: StubServer) -> None:
    stub.stop()
    pack = Pack("Echo", api_url=stub.url, stop_grace=0.0)

    def send() -> None:
        with suppress(ServerAwayError):
            pack.send("Heard")

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(ServerAwayError):
        pack.send("Heard", within=0.2)
    pack.stop()
    sender.join(PATIENCE)
    assert not sender.is_alive()
