"""Token buckets: bursts, steady rates and pauses, in one process and shared through Redis."""

from collections.abc import Callable, Iterator

import pytest

from packs.hosted.plugin_api.config import RateLimiterConfig
from packs.hosted.rate_limits import LocalTokenBucket, RedisTokenBucket
from tests.private_postgres import free_port
from tests.private_redis import private_redis

QUICK = RateLimiterConfig(qps=10, burst=5)
SLOW = RateLimiterConfig(qps=1, burst=5)


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.unit
def test_a_burst_is_followed_by_the_steady_rate() -> None:
    clock = FakeClock()
    bucket = LocalTokenBucket(QUICK, clock)
    assert [bucket.take(3), bucket.take(3), bucket.take(3)] == [3, 2, 0]
    clock.now += 0.25
    assert bucket.take(9) == 2
    clock.now += 3600
    assert (bucket.available(), bucket.take(100)) == (5, 5)


@pytest.mark.unit
def test_a_pause_blocks_calls_and_is_followed_by_no_burst() -> None:
    clock = FakeClock()
    bucket = LocalTokenBucket(QUICK, clock)
    bucket.pause(2)
    clock.now += 1.9
    assert (bucket.take(5), bucket.available() < 0) == (0, True)
    clock.now += 0.1 + 0.1
    assert bucket.take(5) == 1


@pytest.mark.unit
def test_calls_never_exceed_burst_and_rate() -> None:
    clock = FakeClock()
    bucket = LocalTokenBucket(QUICK, clock)
    taken = 0
    for _ in range(1000):
        clock.now += 0.013
        taken += bucket.take(7)
    assert QUICK.qps * 13 - 1 <= taken <= QUICK.burst + QUICK.qps * 13


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with private_redis() as redis:
        yield redis.url


@pytest.mark.integration
def test_processes_share_a_bucket_in_redis(url: str) -> None:
    bucket, same_bucket = RedisTokenBucket(url, "shared", SLOW), RedisTokenBucket(url, "shared", SLOW)
    assert [bucket.take(3), same_bucket.take(3), bucket.take(3) + same_bucket.take(3) <= 1] == [3, 2, True]
    assert RedisTokenBucket(url, "another", SLOW).take(5) == 5


@pytest.mark.integration
def test_a_pause_applies_to_all_processes(url: str) -> None:
    bucket, same_bucket = RedisTokenBucket(url, "paused", QUICK), RedisTokenBucket(url, "paused", QUICK)
    bucket.pause(30)
    assert (same_bucket.take(1), same_bucket.available() < 0) == (0, True)


@pytest.mark.integration
@pytest.mark.parametrize("ask", [lambda bucket: bucket.take(9), lambda bucket: bucket.available()])
def test_without_redis_each_process_counts_separately(ask: Callable[[RedisTokenBucket], float]) -> None:
    bucket = RedisTokenBucket(f"redis://127.0.0.1:{free_port()}/0", "away", SLOW)
    assert ask(bucket) == 5
