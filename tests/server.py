"""The real server for tests: a copy of a migrated database, and `manage.py serve` on a free port."""

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx

from tests import discretion, preloaded
from tests.private_postgres import URL_VARIABLE, create_database, drop_database, free_port, rename_database

ROOT = Path(__file__).resolve().parent.parent

MIGRATE_SECONDS = 120.0
START_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG_LINES = 80

StartServer = Callable[..., "Server"]
"""The type of the fixture `start_server`: a function that takes environment variables and returns a running server."""


class ServerNotStartedError(AssertionError):
    """`manage.py migrate` or `serve` failed, or did not answer in time; the message holds what it wrote."""


@dataclass
class Server:
    """A running server. `url` has no slash at its end; `environment` is its complete environment."""

    url: str
    database_url: str
    environment: dict[str, str] = field(repr=False)
    log_path: Path
    process: preloaded.Process = field(repr=False)

    @property
    def host(self) -> str:
        """Return host and port, as in the links of the server."""
        return self.url.removeprefix("http://")

    def logs(self) -> str:
        """Return all output to standard output and standard error."""
        return self.log_path.read_text(errors="replace")

    def stop(self) -> None:
        """Stop the server and its workers: SIGTERM, then SIGKILL after a timeout. A second call does nothing."""
        if running.pop(self.process.pid, None) is None:
            return
        try:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            discretion.read(self.logs(), self.url, self.environment)

    def start_again(self, *, ready: str = "/health") -> "Server":
        """Start a new process with the same database and environment; stop this one before."""
        return _serve(self.database_url, self.environment, self.log_path, ready)


# Servers by process id; the report of a failed test has their logs.
running: dict[int, Server] = {}


def running_logs() -> Iterator[tuple[str, str]]:
    """Yield the URL and the last log lines of each running server."""
    for server in running.values():
        yield server.url, "\n".join(server.logs().splitlines()[-LOG_LINES:])


@contextmanager
def running_server(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server with a new database while the block runs; its log and SQLite's file are in `folder`."""
    with migrated_database(folder) as database_url:
        server = start(folder, database_url, environment)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def fresh_database(folder: Path) -> Iterator[str]:
    """Create an empty database and yield its URL: a file in `folder`, or one in the private PostgreSQL if it runs."""
    cluster = os.environ.get(URL_VARIABLE)
    if cluster:
        with _database_in(cluster) as url:
            yield url
    else:
        yield _file_in(folder)


@contextmanager
def migrated_database(folder: Path) -> Iterator[str]:
    """Copy the run's template, a migrated database without further rows, and yield its URL."""
    cluster = os.environ.get(URL_VARIABLE)
    template = _template(cluster or "")
    if cluster:
        with _database_in(cluster, template) as url:
            yield url
    else:
        url = _file_in(folder)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, url.removeprefix("sqlite:///"))
        yield url


@contextmanager
def _database_in(cluster: str, template: str = "") -> Iterator[str]:
    name = _fresh_name()
    # A machine that runs many servers at once can take longer to accept a connection than the product waits.
    url = f"{create_database(cluster, name, template)}?connect_timeout=15"
    try:
        yield url
    finally:
        drop_database(cluster, name)


def _file_in(folder: Path) -> str:
    return f"sqlite:///{folder / f'{_fresh_name()}.sqlite3'}"


def _fresh_name() -> str:
    return f"flyte_{secrets.token_hex(6)}"


class _Templates:
    """The folder in which the processes of a run make a template once; without a folder, each process makes its own."""

    folder: Path | None = None
    temporary: "tempfile.TemporaryDirectory[str] | None" = None

    def path(self) -> Path:
        if self.folder is None:
            self.temporary = tempfile.TemporaryDirectory(prefix="flyte-template-")
            self.folder = Path(self.temporary.name)
        return self.folder


templates = _Templates()


@cache
def _template(cluster: str) -> str:
    """Return the migrated database to copy: a path, or a name in the cluster. The first caller makes it."""
    folder = templates.path()
    made, name = folder / "migrated", "migrated_template"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cluster and not made.exists():
            _make(create_database(cluster, unfinished := _fresh_name()), folder)
            rename_database(cluster, unfinished, name)
            made.touch()
        elif not made.exists():
            _make(f"sqlite:///{folder / 'unfinished'}", folder)
            (folder / "unfinished").rename(made)
    return name if cluster else str(made)


def _make(database_url: str, folder: Path) -> None:
    migrate(server_environment(database_url), folder / "migrate.log")


def start(folder: Path, database_url: str, environment: Mapping[str, str] | None = None) -> Server:
    """Start a server on a migrated database; its caller has to stop it. Raises `ServerNotStartedError`."""
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / f"server-{secrets.token_hex(4)}.log"
    complete = server_environment(database_url, environment)
    return _serve(database_url, complete, log_path, "/health")


def server_environment(database_url: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment with the server's settings replaced by those of the test."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FLYTE_") and name not in ("LOGFILE", "LOGLEVEL", "DJANGO_SETTINGS_MODULE")
    }
    settings = {
        "FLYTE_DATABASE_URL": database_url,
        "FLYTE_SECRET_KEY": secrets.token_hex(32),
        "PYTHONUNBUFFERED": "1",
    }
    return inherited | settings | dict(environment or {})


def migrate(environment: dict[str, str], log_path: Path) -> None:
    """Migrate the database of that environment. Raises `ServerNotStartedError`."""
    with log_path.open("ab") as log:
        migration = preloaded.start(["manage.py", "migrate", "--verbosity=0"], env=environment, stdout=log, stderr=log)
        code = migration.wait(MIGRATE_SECONDS)
    if code:
        raise ServerNotStartedError(f"manage.py migrate failed:\n{log_path.read_text(errors='replace')}")


def _serve(database_url: str, environment: dict[str, str], log_path: Path, ready: str) -> Server:
    for _ in range(3):  # another process may take the port before the server does
        port = free_port()
        with log_path.open("ab") as log:
            process = preloaded.start(
                ["manage.py", "serve"],
                env={**environment, "FLYTE_PORT": str(port)},
                stdout=log,
                stderr=log,
            )
        server = Server(f"http://127.0.0.1:{port}", database_url, environment, log_path, process)
        running[process.pid] = server
        if _is_ready(server, ready):
            return server
        server.stop()
        if "in use" not in server.logs():
            break
    raise ServerNotStartedError(f"manage.py serve did not answer {ready} with 200:\n{server.logs()}")


def _is_ready(server: Server, path: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(server.url + path, timeout=5, trust_env=False).status_code == 200:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return False
