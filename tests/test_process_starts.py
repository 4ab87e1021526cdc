"""Tests start processes only by the functions of processes.py, which see to their end."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

TESTS = Path(__file__).resolve().parent
ALLOWED = {TESTS / "processes.py", TESTS / "preloaded.py", TESTS / "watchdog.py"}
STARTS = {
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
    "concurrent.futures": {"ProcessPoolExecutor"},
    "multiprocessing": {"Pool", "Process", "get_context"},
    "os": {"fork", "forkpty", "popen", "posix_spawn", "posix_spawnp", "system"}
    | {f"spawn{kind}" for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")},
    "pty": {"fork", "spawn"},
    "subprocess": {"Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput", "run"},
}
NAMES = {f"{module}.{name}" for module, names in STARTS.items() for name in names}


def find_starts(text: str) -> list[int]:
    """Find the lines that start a process, or import a function for it by its name."""
    nodes = [*ast.walk(ast.parse(text))]
    calls = [node.lineno for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) in NAMES]
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    names = [node.lineno for node in imports for alias in node.names if f"{node.module}.{alias.name}" in NAMES]
    return sorted(calls + names)


def test_no_module_of_the_tests_starts_a_process_in_another_way() -> None:
    paths = [path for path in TESTS.rglob("*.py") if path not in ALLOWED]
    assert len(paths) > 200
    assert [f"{path}:{line}" for path in paths for line in find_starts(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("import subprocess\nsubprocess.run(['ls'])", [2]),
        ("with subprocess.Popen(['ls']) as process:\n    pass", [1]),
        ("from subprocess import check_output", [1]),
        ("x: 'subprocess.Popen[bytes]' = processes.start(['ls'])", []),
        ("def f():\n    if not os.fork():\n        os.execv('ls', [])", [2]),
        ("from subprocess import PIPE", []),
        ("processes.run(['ls'], stdin=subprocess.PIPE)", []),
    ],
)
def test_the_check_finds_starts(text: str, lines: list[int]) -> None:
    assert find_starts(text) == lines
