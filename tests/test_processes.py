"""Nothing that tests start outlives a run of tests that is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import processes
from tests.server import ROOT
from tests.watchdog import Registered, find_members, read_status

pytestmark = pytest.mark.acceptance

PATIENCE = 120.0

ALL_KINDS = """
import os
import time
from contextlib import ExitStack
from pathlib import Path

from tests import processes
from tests.jobs.processes import running, wait_for_health
from tests.private_postgres import free_port, private_postgres
from tests.private_redis import private_redis
from tests.server import server_environment


def test_it_waits_to_be_killed(tmp_path):
    with ExitStack() as stack:
        postgres = stack.enter_context(private_postgres())
        redis = stack.enter_context(private_redis())
        variables = {"FLYTE_REDIS_URL": redis.url, "FLYTE_PORT": str(free_port())}
        environment = server_environment(postgres.url, variables)
        server = stack.enter_context(running(tmp_path, environment, "run"))
        wait_for_health(f"http://127.0.0.1:{variables['FLYTE_PORT']}", server)
        worker = stack.enter_context(running(tmp_path, environment, "worker"))
        worker.wait_for("ready")
        processes.run(["sh", "-c", "setsid sleep 1001 >/dev/null 2>&1 &"])
        Path(os.environ["READY_PATH"]).write_text(f"{os.getpid()} {postgres.folder}")
        time.sleep(1000)
"""

ONE_KIND = """
import os
import time
from pathlib import Path

from tests import processes


def test_it_waits_to_be_killed():
    processes.start(["sh", "-c", "setsid sleep 1004 & wait"])
    Path(os.environ["READY_PATH"]).write_text(str(os.getpid()))
    time.sleep(1000)
"""

FORK = """
import os
import sys
import time

from tests import processes

if not processes.fork():
    os.setsid()
    time.sleep(1000)
started = processes.start(["env", "-i", "sh", "-c", "setsid sleep 1002 & wait"])
print("ready", flush=True)
time.sleep(1000)
"""


def wait_until(condition: Callable[[], object], message: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert result, message()


def describe(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def find_family(process: "subprocess.Popen[bytes]") -> dict[int, int]:
    """Find a process, its descendants and whatever else has one of its tokens: their ids, and when they started."""
    environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    outer = next(line for line in environment.split(b"\0") if line.startswith(processes.TOKENS_VARIABLE.encode()))
    leader = Registered(process.pid, None, signal.SIGKILL, None)
    members = find_members([leader], outer + f",{process.pid}-".encode())
    return {pid: status.started for pid in members if (status := read_status(pid))}


def find_left(family: dict[int, int]) -> list[str]:
    alive = {pid: read_status(pid) for pid in family}
    return [f"{pid} {describe(pid)}" for pid, status in alive.items() if status and status.started == family[pid]]


@contextmanager
def nested_run(folder: Path, text: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run pytest on a test that starts processes, from when all of them run."""
    (folder / "test_nested.py").write_text(text)
    ready, log_path = folder / "ready", folder / "log"
    command = [sys.executable, "-m", "pytest", "-p", "tests.processes", "-p", "no:django", "-p", "no:cacheprovider"]
    with log_path.open("wb") as log:
        nested = processes.start(
            [*command, "--rootdir", folder, "-c", "/dev/null", *options, folder / "test_nested.py"],
            cwd=ROOT,
            env={**os.environ, "READY_PATH": str(ready)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: nested.poll() is not None or (ready.exists() and ready.read_text()), log_path.read_text)
        assert nested.poll() is None, log_path.read_text()
        yield nested
    finally:
        processes.kill_group(nested)
        nested.wait()


def test_a_killed_run_leaves_no_process_and_no_data(tmp_path: Path) -> None:
    with nested_run(tmp_path, ALL_KINDS) as nested:
        family = find_family(nested)
        names = "\n".join(map(describe, family))
        for name in ("manage.py run", "manage.py serve", "manage.py worker", "redis-server", "postgres", "sleep 1001"):
            assert name in names
        data = Path((tmp_path / "ready").read_text().split()[1])
        assert data.exists()
        os.kill(nested.pid, signal.SIGKILL)
        nested.wait()
        wait_until(lambda: not find_left(family), lambda: "\n".join(find_left(family)))
        wait_until(lambda: not data.exists(), lambda: f"{data} still exists")


@pytest.mark.parametrize("victim", ["controller", "worker"])
def test_a_killed_run_of_xdist_leaves_no_process(tmp_path: Path, victim: str) -> None:
    with nested_run(tmp_path, ONE_KIND, "-n", "1", "--max-worker-restart=0") as nested:
        worker = int((tmp_path / "ready").read_text())
        assert worker != nested.pid
        family = find_family(nested)
        assert {nested.pid, worker} < {*family}
        assert "sleep 1004" in "\n".join(map(describe, family))
        os.kill(worker if victim == "worker" else nested.pid, signal.SIGKILL)
        nested.wait(PATIENCE)
        wait_until(lambda: not find_left(family), lambda: "\n".join(find_left(family)))


def test_forks_and_sessions_without_the_environment_end_too() -> None:
    program = processes.start([sys.executable, "-c", FORK], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert program.stdout
        assert program.stdout.readline() == b"ready\n"
        wait_until(lambda: len(find_family(program)) == 4, lambda: str([*map(describe, find_family(program))]))
        family = find_family(program)
    finally:
        program.kill()
        program.communicate()
    wait_until(lambda: not find_left(family), lambda: "\n".join(find_left(family)))


def test_a_program_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    command = ["sh", "-c", f"sleep 1003 & echo $! > {tmp_path / 'pid'}; wait"]
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(command, timeout=1)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: "sleep 1003" not in describe(pid), lambda: describe(pid))


def test_run_returns_the_same_as_subprocess_run() -> None:
    command = ["sh", "-c", "cat; echo trouble >&2; exit 3"]
    done = processes.run(command, input="text", capture_output=True, text=True)
    assert (done.args, done.returncode, done.stdout, done.stderr) == (command, 3, "text", "trouble\n")
    with pytest.raises(subprocess.CalledProcessError):
        processes.run(command, stdin=subprocess.DEVNULL, check=True)
