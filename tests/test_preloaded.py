"""Programs that are forks of a process with their libraries: they are like programs that an interpreter starts."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import preloaded
from tests.processes import TOKENS_VARIABLE, watchdog

pytestmark = pytest.mark.acceptance

SECONDS = 60.0
PROGRAM = """
import json, os, signal, sys, time

def describe():
    return {
        "arguments": sys.argv,
        "main": __name__,
        "folder": os.getcwd(),
        "first path": sys.path[0],
        "variables": {name: value for name, value in os.environ.items() if name != "LC_CTYPE"},
        "is leader": os.getsid(0) == os.getpid(),
        "hour": time.localtime(0).tm_hour,
        "input": sys.stdin.read(),
        "files": sorted(os.listdir("/proc/self/fd"), key=int)[:3],
        "file count": len(os.listdir("/proc/self/fd")),
        "handlers": {number.name: str(signal.getsignal(number)) for number in signal.Signals},
    }

if sys.argv[1] == "describe":
    print(json.dumps(describe()))
    print("an error", file=sys.stderr)
    sys.exit(7)
elif sys.argv[1] == "raise":
    raise ValueError("raised")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setitem(preloaded.MODULES, "program.py", ("json",))
    return tmp_path


def start(folder: Path, *arguments: str, **variables: str) -> preloaded.Process:
    return preloaded.start(
        ["program.py", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **python_variables(), **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def python_variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("PYTHON", "LC_", "LANG"))}


def describe(process: preloaded.Process) -> object:
    process.stdin.write("typed\n")
    process.stdin.close()
    description = json.loads(process.stdout.read())
    assert process.stderr.read() == "an error\n"
    assert process.wait(SECONDS) == process.poll() == 7
    return description


def test_a_fork_is_like_a_program_that_an_interpreter_starts(folder: Path) -> None:
    fork = start(folder, "describe", "ä b", TZ="Etc/GMT-3", OTHER="x")
    assert isinstance(fork, preloaded.ForkedProcess)
    real = start(folder, "describe", "ä b", TZ="Etc/GMT-3", OTHER="x", PYTHONNODEBUGRANGES="1")
    assert isinstance(real, subprocess.Popen)
    description = describe(fork)
    expected = describe(real)
    assert isinstance(expected, dict)
    del expected["variables"]["PYTHONNODEBUGRANGES"]
    assert description == expected
    assert expected["hour"] == 3
    assert expected["variables"][TOKENS_VARIABLE] == watchdog.tokens


def test_an_error_ends_a_fork_with_its_traceback_and_1(folder: Path) -> None:
    fork = start(folder, "raise")
    assert fork.stderr.read().endswith("ValueError: raised\n")
    assert fork.wait(SECONDS) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_signal_ends_a_fork_and_its_exit_code_is_negative(folder: Path, number: signal.Signals) -> None:
    fork = start(folder, "wait")
    assert fork.stdout.readline() == "ready\n"
    assert fork.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        fork.wait(0.01)
    fork.send_signal(number)
    assert fork.wait(SECONDS) == -number
    fork.send_signal(number)  # it has ended: nothing happens


def test_a_program_runs_to_its_end_with_its_input_and_output(folder: Path) -> None:
    done = preloaded.run(["program.py", "describe"], cwd=folder, env=python_variables(), text="typed", timeout=SECONDS)
    assert (done.returncode, json.loads(done.stdout)["input"], done.stderr) == (7, "typed", "an error\n")


def test_a_program_that_takes_too_long_is_killed(folder: Path) -> None:
    (folder / "program.py").write_text("import time; time.sleep(600)")
    with pytest.raises(subprocess.TimeoutExpired) as error:
        preloaded.run(["program.py"], cwd=folder, env=python_variables(), timeout=0.1)
    pid = error.value.cmd.rpartition(" ")[2]
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_forks_run_at_the_same_time(folder: Path) -> None:
    forks = [start(folder, "wait") for _ in range(3)]
    assert [fork.stdout.readline() for fork in forks] == ["ready\n"] * 3
    assert len({fork.pid for fork in forks}) == 3
    for fork in forks:
        fork.stdin.close()
    assert [fork.wait(SECONDS) for fork in forks] == [0] * 3


@pytest.mark.parametrize("kind", preloaded.MODULES)
def test_the_modules_can_be_imported_without_settings(kind: str) -> None:
    server = preloaded.ForkServer(preloaded.MODULES[kind])
    arguments = ["-m", "json.tool", "--help"]
    reader, writer = os.pipe()
    with open(os.devnull) as null:
        fork = server.fork(preloaded.ProgramStart(arguments, os.getcwd(), {}), [null.fileno(), writer, writer])
    os.close(writer)
    with open(reader) as output:
        assert "usage:" in output.read()
    assert fork.wait(SECONDS) == 0
