import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flyte_client.packs.shell.script import (
    KILLED_EXIT_CODE,
    MAX_ARGUMENT_BYTES,
    TIMEOUT_EXIT_CODE,
    Script,
    ScriptResult,
    run_script,
)
from flyte_client.packs.shell.settings import ShellSettings

pytestmark = pytest.mark.integration

PATIENT = 60.0


def run(
    command: str, timeout: float = PATIENT, limit: int = 10_000, stdin: str = "", env: Mapping[str, str] | None = None
) -> ScriptResult:
    return run_script(Script(command, stdin, env or {}), bounds(timeout, limit), threading.Event())


def bounds(timeout: float, limit: int = 1000) -> ShellSettings:
    return ShellSettings(timeout, limit, Path.cwd(), os.environ)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ("echo hello", ScriptResult("hello\n", "", 0)),
        ("printf 'a\\n\\n\\n'", ScriptResult("a\n\n\n", "", 0)),
        ("echo oh; echo dear >&2; exit 3", ScriptResult("oh\n", "dear\n", 3)),
        ("echo -e 'world\\nhello' | sort", ScriptResult("hello\nworld\n", "", 0)),
        ("echo é", ScriptResult("é\n", "", 0)),
        ("printf 'a\\xffb'", ScriptResult("a\ufffdb", "", 0)),
        ("kill -9 $$", ScriptResult("", "", -1)),
        ("cat", ScriptResult("", "", 0)),
        ("exec >&- 2>&-; exit 5", ScriptResult("", "", 5)),
    ],
)
def test_a_script_returns_its_output_and_exit_code(script: str, outcome: ScriptResult) -> None:
    assert run(script) == outcome


def test_a_timeout_kills_all_processes_of_the_script(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! >>{pids}; (sleep 600 & echo $! >>{pids}; wait) & echo before; wait"
    outcome = run(script, timeout=5.0)
    assert outcome == ScriptResult("before\n", "", TIMEOUT_EXIT_CODE, ("killed after 5 seconds",))
    # A killed process closes its outputs shortly before it ends.
    wait_until(lambda: not any(_runs(int(pid)) for pid in pids.read_text().split()))


def test_a_script_that_closed_its_outputs_is_killed_in_time_too() -> None:
    assert run("exec >&- 2>&-; sleep 600", timeout=0.5).exit_code == TIMEOUT_EXIT_CODE


def test_a_cancelled_script_is_killed_with_its_processes_and_keeps_its_output(tmp_path: Path) -> None:
    cancelled, pids = threading.Event(), tmp_path / "pids"
    script = f"echo before; sleep 600 & echo $! >>{pids}; echo $$ >>{pids}; wait"
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run_script, Script(script), bounds(600.0), cancelled)
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        cancelled.set()
        outcome = running.result(PATIENT)
    assert outcome == ScriptResult("before\n", "", KILLED_EXIT_CODE, ("killed because its action was cancelled",))
    wait_until(lambda: not any(_runs(int(pid)) for pid in pids.read_text().split()))


def test_a_script_that_closed_its_outputs_can_be_cancelled_too() -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    assert run_script(Script("exec >&- 2>&-; sleep 600"), bounds(600.0), cancelled).exit_code == KILLED_EXIT_CODE


@pytest.mark.parametrize("script", ["sleep 30 & echo started; exit 3", "setsid sleep 30 & echo started; exit 3"])
def test_a_background_process_that_keeps_the_outputs_open_does_not_delay_the_result(script: str) -> None:
    started_at = time.monotonic()
    outcome = run(script)
    assert time.monotonic() - started_at < 20
    note = "a background process keeps {} open; its output after the end of the script was discarded"
    assert outcome == ScriptResult("started\n", "", 3, (note.format("stdout"), note.format("stderr")))


def test_a_background_process_can_write_shortly_after_the_end_of_the_script() -> None:
    assert run("echo a > >(sleep 0.3; cat)") == ScriptResult("a\n", "", 0)


def test_a_background_process_without_the_outputs_survives(tmp_path: Path) -> None:
    assert run(f"(sleep 0.2; echo x >{tmp_path}/late) >/dev/null 2>&1 &") == ScriptResult("", "", 0)
    wait_until((tmp_path / "late").exists)


@pytest.mark.parametrize("text", ["x", "a\nb", "$(id) `id` 'a\"", "é\u2028", "x" * 3_000_000])
def test_standard_input_is_passed_unchanged(text: str) -> None:
    assert run("cat", stdin=text, limit=4_000_000) == ScriptResult(text, "", 0)


def test_a_script_that_does_not_read_its_input_is_not_an_error() -> None:
    assert run("exec <&-; echo a", stdin="x" * 1_000_000) == ScriptResult("a\n", "", 0)


def test_variables_are_passed_unchanged_and_replace_those_of_the_pack() -> None:
    value = "$(id) 'a\" \n*é\ud800"
    outcome = run('printf %s "$HOME-$A_1"', env={"HOME": "/x", "A_1": value})
    assert outcome == ScriptResult(f"/x-{value[:-1]}\ufffd", "", 0)


@pytest.mark.parametrize("size", [MAX_ARGUMENT_BYTES - 1, MAX_ARGUMENT_BYTES, MAX_ARGUMENT_BYTES + 1, 5_000_000])
def test_a_script_of_any_size_runs(size: int) -> None:
    end = 'echo "$0" "$#"; cat; exit 7'
    command = f"# {'é' * ((size - len(end) - 4) // 2)}\n".ljust(size - len(end), "\n")
    command = command[: len(command) - (len(command.encode()) - (size - len(end)))] + end
    assert len(command.encode()) == size
    assert run(command, stdin="in") == ScriptResult("bash 0\nin", "", 7)


def test_output_is_truncated_at_the_limit_while_the_script_continues() -> None:
    outcome = run("head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2", limit=1000)
    assert outcome == ScriptResult("x" * 1000, "end\n", 0, ("stdout was truncated to 1000 bytes",))


def test_output_without_end_is_bounded_in_time_and_size() -> None:
    outcome = run("yes", timeout=4.0, limit=1000)
    assert outcome.stdout == "y\n" * 500
    assert outcome.notes == ("stdout was truncated to 1000 bytes", "killed after 4 seconds")


def test_a_character_that_the_limit_splits_is_left_out() -> None:
    assert run("printf 'aaé'", limit=3).stdout == "aa"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENT
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert result


def _runs(pid: int) -> bool:
    """Return True if the process is running; a zombie does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
