"""Notifications through a real Redis: between processes, during its outage, and without blocking."""

import json
import threading
import time
from collections.abc import Iterator

import pytest

from packs.models import Pack
from packs.queue import long_poll, pubsub
from packs.queue.long_poll import LongPollHub, QueuedAction, ReadyKeys
from packs.queue.pubsub import PubSubChannel
from tests.private_postgres import free_port
from tests.private_redis import PrivateRedis, private_redis

pytestmark = pytest.mark.integration

# Generous, because only a failing test waits this long.
PATIENCE = 30.0

PACK = Pack(identity="Wrk", name="Wrk", labels={})


@pytest.fixture(scope="module")
def redis() -> Iterator[PrivateRedis]:
    with private_redis() as started:
        yield started


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub, "RETRY_PAUSE_SECONDS", (0.02, 0.05))


class RecordingSubscriber:
    """A subscriber that records the messages of a channel."""

    def __init__(self, channel: PubSubChannel) -> None:
        self.names: set[str] = set()
        self._changed = threading.Condition()
        channel.subscribe(self._record)

    def _record(self, name: str) -> None:
        with self._changed:
            self.names.add(name)
            self._changed.notify_all()

    def wait_for(self, *names: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.names >= set(names), PATIENCE), self.names


def subscribe(redis: PrivateRedis) -> tuple[PubSubChannel, RecordingSubscriber]:
    """Subscribe to a new channel; return it with its subscriber."""
    channel = PubSubChannel(redis.url)
    subscriber = RecordingSubscriber(channel)
    wait_until_subscribed(channel)
    return channel, subscriber


def wait_until_subscribed(channel: PubSubChannel, yes: bool = True) -> None:
    deadline = time.monotonic() + PATIENCE
    while bool(channel.subscription_epoch) != yes and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bool(channel.subscription_epoch) == yes


def test_a_message_reaches_all_processes(redis: PrivateRedis) -> None:
    (first, first_subscriber), (second, second_subscriber) = subscribe(redis), subscribe(redis)
    first.publish(["Slack", "ü / \n"])
    second.publish({"Jira"})
    for subscriber in (first_subscriber, second_subscriber):
        subscriber.wait_for("Slack", "ü / \n", "Jira")


def test_an_interruption_of_redis_is_logged_and_survived(redis: PrivateRedis) -> None:
    (channel, subscriber), publisher = subscribe(redis), PubSubChannel(redis.url)
    before = channel.subscription_epoch
    publisher.publish(["before"])
    subscriber.wait_for("before")
    redis.stop()
    wait_until_subscribed(channel, False)
    publisher.publish(["meanwhile"])
    redis.start_again()
    wait_until_subscribed(channel)
    assert channel.subscription_epoch != before
    publisher.publish(["after"])
    subscriber.wait_for("after")


def test_a_restart_between_two_messages_loses_neither(redis: PrivateRedis) -> None:
    (channel, subscriber), publisher = subscribe(redis), PubSubChannel(redis.url)
    publisher.publish(["first"])
    subscriber.wait_for("first")
    redis.stop()
    wait_until_subscribed(channel, False)
    redis.start_again()
    wait_until_subscribed(channel)
    publisher.publish(["second"])
    subscriber.wait_for("second")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "redis://127.0.0.1:{}/0?max_connections=none"])
def test_an_unavailable_redis_blocks_no_caller(url: str) -> None:
    channel = PubSubChannel(url.format(free_port()))
    RecordingSubscriber(channel)
    for number in range(1000):
        channel.publish([f"name{number}"])
    assert channel.subscription_epoch == 0


def test_the_hub_is_woken_by_the_channel_and_queries_when_it_is_silent(redis: PrivateRedis) -> None:
    ready: ReadyKeys = []
    channel, (publisher, _) = PubSubChannel(redis.url), subscribe(redis)
    hub = LongPollHub(lambda names: ready, max_waiters=1, channel=channel)
    with hub.register(PACK, PATIENCE) as waiter:
        assert waiter
        wait_until_subscribed(channel)
        publisher.publish([json.dumps(QueuedAction("Wrk", "{}", "Do", "1", "n1"))])
        assert waiter.wait()
        redis.stop()
        ready.append(("Wrk", "{}"))
        assert waiter.wait()
    hub.stop()
    redis.start_again()


def test_queries_are_rare_while_the_channel_is_subscribed(redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "SLOW_POLL_SECONDS", 3600.0)
    calls: list[set[str]] = []

    def find_ready(names: set[str]) -> ReadyKeys:
        calls.append(names)
        return []

    channel, subscriber = subscribe(redis)
    hub = LongPollHub(find_ready, max_waiters=1, channel=channel)
    with hub.register(PACK, PATIENCE) as waiter:
        assert waiter
        for number in range(20):
            channel.publish([f"name{number}"])
            subscriber.wait_for(f"name{number}")
            time.sleep(long_poll.TICK_SECONDS)
    assert len(calls) <= 1
    hub.stop()
