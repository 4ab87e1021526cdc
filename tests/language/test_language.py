"""The check of the project's English: what it counts, and where it says that the offences are."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import processes
from tests.language.__main__ import main
from tests.language.checks import Figure, Project, load_rules

pytestmark = pytest.mark.unit

CLEAN = '''"""Store of flows."""

MAX_ROWS = 5  # as many as fit into one statement


class Store:
    """Flows by name."""

    def find_flow(self, name: str) -> str:
        """Return the flow, or raise LookupError."""
        raise LookupError(f"flow {name} not found")
'''


def write_project(root: Path, files: Mapping[str, str]) -> Path:
    processes.run(["git", "init", "--quiet", root], check=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def measure(root: Path, files: Mapping[str, str]) -> dict[str, Figure]:
    figures = Project(write_project(root, files), load_rules()).read().measure()
    return {figure.name: figure for figure in figures}


def test_clean_project_has_no_offences(tmp_path: Path) -> None:
    figures = measure(tmp_path, {"flows/store.py": CLEAN, "tests/test_store.py": '"""Tests."""\n', "README.md": "Hi"})
    assert {name: figure.value for name, figure in figures.items()} == dict.fromkeys(load_rules()["limits"], 0)


@pytest.mark.parametrize(
    ("name", "path", "content", "offence"),
    [
        (
            "code",
            "flows/a.py",
            '"""Flows.\n\nThe flow\nstands here.\n"""\n',
            "4: stands: write is, or is shown: stands",
        ),
        ("code", "flows/a.py", "x = 1\n# Read in order, of its\n# own.\n", "2: of its own: write its own, or "),
        ("messages", "flows/a.py", 'raise E(\n    f"the flow {x} runs no more"\n)\n', "2: no more: write no longer: "),
        ("messages", "static/a.js", 'f();\nshow("Nobody is told this");\n', "2: tells: write reports, "),
        ("docs", "docs/a.md", "```sh\nalone\n```\nOne flow\nalone.\n", "5: alone: write only: alone."),
        ("docs", "templates/a.html", "<p\n title='a'>Try it\nanew</p>\n", "3: anew: write again: anew"),
        ("docs", "compose.yaml", "a: 1  # wait till it runs\n", "1: till: write until: wait till it runs"),
        ("tests", "tests/test_a.py", "# The row lies here.\n", "1: lies: write is in: The row lies here."),
        ("openers", "flows/a.py", '"""Flows."""\n\n\nclass A:\n    """What it is."""\n', "5: docstring begins with a "),
        ("test_openers", "bench/a.py", '"""How fast it is."""\n', "1: docstring begins with a question word: How fast"),
        ("non_imperative", "flows/a.py", 'def f():\n    """The flow."""\n', '2: not imperative: "The flow."'),
        ("test_non_imperative", "tests/a.py", 'def f():\n    """The flow."""\n', '2: not imperative: "The flow."'),
        ("odd_names", "flows/a.py", "rows = 1\ndef f(told): ...\n", "2: odd name: told"),
        ("test_odd_names", "tests/a.py", "for one in rows: ...\n", "1: odd name: one"),
        ("duplicate_classes", "flows/a.py", "\nclass Store: ...\n", "2: class name also used in audit/store.py"),
        ("test_duplicate_classes", "tests/a.py", "class Store: ...\n", "1: class name also used in audit/store.py"),
        ("bounds", "flows/a.py", "ROW_LIMIT = 5\n", "1: bound that begins with neither MAX_ nor MIN_: ROW_LIMIT"),
        ("bounds", "flows/a.py", "class A:\n    MOST_ROWS = 5\n", "2: bound that begins with neither MAX_ nor MIN_: "),
    ],
)
def test_planted_offence_is_reported_with_its_path_and_line(
    tmp_path: Path, name: str, path: str, content: str, offence: str
) -> None:
    figures = measure(tmp_path, {"audit/store.py": CLEAN, path: content})
    assert [str(reported).startswith(f"{path}:{offence}") for reported in figures[name].offences] == [True]
    assert [other for other, figure in figures.items() if figure.offences] == [name]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("flows/a.py", "# stands for, no more than, is no longer, is no one\n"),
        ("flows/a.py", 'word = "till"\n'),
        ("flows/a.py", "class Command: ...\n"),
        ("flows/a.py", "class _Store: ...\n"),
        ("flows/a.py", "MAX_LIMIT = 5\n"),
        ("flows/migrations/0001.py", "# anew\n"),
        ("docs/a.md", "```\nit stands till then\n```\n"),
        ("templates/a.html", "{# it stands till then #}<a title='it stands alone'>{% told %}</a>"),
    ],
)
def test_permitted_text_is_not_reported(tmp_path: Path, path: str, content: str) -> None:
    figures = measure(tmp_path, {"audit/a.py": "class Command: ...\n", "audit/store.py": CLEAN, path: content})
    assert [offence for figure in figures.values() for offence in figure.offences] == []


def test_share_is_counted_per_thousand_words(tmp_path: Path) -> None:
    figures = measure(tmp_path, {"a.md": "The row stands here. " * 2 + "word " * 492})
    assert figures["docs"].value == 4.0


def test_command_fails_on_a_planted_offence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_project(tmp_path, {"audit/store.py": CLEAN, "docs/long.md": "word " * 5_000})
    assert main(["--root", str(root)]) == 0
    (root / "README.md").write_text("The flow stands here.\n")
    (root / "flows.py").write_text("class Store: ...\n")
    assert main(["--root", str(root)]) == 1
    output = capfd.readouterr()
    assert "README.md:1: stands: write is, or is shown: The flow stands here.\n" in output.out
    assert output.err.startswith("over the limit: docs, duplicate_classes ")
    assert main(["--root", str(root), "audit"]) == 1
    assert "README.md" not in capfd.readouterr().out
