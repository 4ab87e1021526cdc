"""Notifications through a real Redis: between processes, during its outage, and without blocking."""

import threading
import time
from collections.abc import Iterator

import pytest

from packs.models import Pack
from packs.queue import long_poll, pubsub
from packs.queue.long_poll import LongPollHub, ReadyKeys
from packs.queue.pubsub import PubSubChannel
from tests.private_postgres import free_port
from tests.private_redis import PrivateRedis, private_redis

pytestmark = pytest.mark.integration

# Generous: only a failing test ever waits this long.
PATIENCE = 30.0

PACK = Pack(identity="Wrk", name="Wrk", labels={})


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateRedis]:
    with private_redis() as started:
        yield started


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub, "RETRY_PAUSE_SECONDS", (0.02, 0.05))


class Ear:
    """Remembers what a channel tells."""

    def __init__(self, channel: PubSubChannel) -> None:
        self.heard: set[str] = set()
        self._changed = threading.Condition()
        channel.subscribe(self._note)

    def _note(self, names: set[str]) -> None:
        with self._changed:
            self.heard |= names
            self._changed.notify_all()

    def wait_for(self, *names: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.heard >= set(names), PATIENCE), self.heard


def listening(redis: PrivateRedis) -> tuple[PubSubChannel, Ear]:
    """A channel that hears already, and what it heard."""
    channel = PubSubChannel(redis.url)
    ear = Ear(channel)
    until_hearing(channel)
    return channel, ear


def until_hearing(channel: PubSubChannel, yes: bool = True) -> None:
    deadline = time.monotonic() + PATIENCE
    while bool(channel.subscription_epoch) != yes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bool(channel.subscription_epoch) == yes


def test_a_message_reaches_all_processes(redis: PrivateRedis) -> None:
    (one, heard_by_one), (two, heard_by_two) = listening(redis), listening(redis)
    one.publish(["Slack", "ü / \n"])
    two.publish({"Jira"})
    for ear in (heard_by_one, heard_by_two):
        ear.wait_for("Slack", "ü / \n", "Jira")


def test_an_interruption_of_redis_is_logged_and_survived(redis: PrivateRedis) -> None:
    (channel, ear), teller = listening(redis), PubSubChannel(redis.url)
    before = channel.subscription_epoch
    teller.publish(["before"])
    ear.wait_for("before")
    redis.stop()
    until_hearing(channel, False)
    teller.publish(["meanwhile"])
    redis.start_again()
    until_hearing(channel)
    assert channel.subscription_epoch != before
    teller.publish(["after"])
    ear.wait_for("after")


def test_a_restart_between_two_messages_loses_neither(redis: PrivateRedis) -> None:
    (channel, ear), teller = listening(redis), PubSubChannel(redis.url)
    teller.publish(["first"])
    ear.wait_for("first")
    redis.stop()
    until_hearing(channel, False)
    redis.start_again()
    until_hearing(channel)
    teller.publish(["second"])
    ear.wait_for("second")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "redis://127.0.0.1:{}/0?max_connections=none"])
def test_an_unavailable_redis_blocks_no_caller(url: str) -> None:
    channel = PubSubChannel(url.format(free_port()))
    Ear(channel)
    for number in range(1000):
        channel.publish([f"name{number}"])
    assert channel.subscription_epoch == 0


def test_the_hub_is_woken_by_the_channel_and_queries_when_it_is_silent(redis: PrivateRedis) -> None:
    found: ReadyKeys = []
    channel, (teller, _) = PubSubChannel(redis.url), listening(redis)
    watcher = LongPollHub(lambda names: found, max_waiters=1, channel=channel)
    with watcher.register(PACK, PATIENCE) as place:
        assert place
        until_hearing(channel)
        teller.publish(["Wrk"])
        assert place.wait()
        redis.stop()
        found.append(("Wrk", "{}"))
        assert place.wait()
    watcher.stop()
    redis.start_again()


def test_queries_are_rare_while_the_channel_is_subscribed(redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "SLOW_POLL_SECONDS", 3600.0)
    looks: list[set[str]] = []

    def look(names: set[str]) -> ReadyKeys:
        looks.append(names)
        return []

    channel, ear = listening(redis)
    watcher = LongPollHub(look, max_waiters=1, channel=channel)
    with watcher.register(PACK, PATIENCE) as place:
        assert place
        for number in range(20):
            channel.publish([f"name{number}"])
            ear.wait_for(f"name{number}")
            time.sleep(long_poll.TICK_SECONDS)
    assert len(looks) <= 1
    watcher.stop()
