"""The Redis of the tests: no process of it is left, even if its owner is killed."""

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.jobs.processes import program, wait_until
from tests.private_redis import private_redis

pytestmark = pytest.mark.acceptance

OWNER = """
import signal
from tests.private_redis import private_redis
with private_redis() as redis:
    print("port", redis.port, flush=True)
    signal.pause()
"""


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_redis_runs_during_the_block() -> None:
    with private_redis() as redis:
        assert answers(redis.port)
        redis.stop()
        assert not answers(redis.port)
        redis.start_again()
        assert answers(redis.port)
    assert not answers(redis.port)


def test_redis_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    with program(tmp_path, os.environ, [sys.executable, "-c", OWNER]) as owner:
        port = int(owner.wait_for("port")[0].split()[1])
        assert answers(port)
        owner.process.kill()
        wait_until(lambda: not answers(port), lambda: f"{port} closed")
