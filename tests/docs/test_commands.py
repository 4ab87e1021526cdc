"""Every page: its `manage.py` commands exist and accept the printed options; its make targets and modules exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from tests.docs.pages import blocks, pages
from tests.server import ROOT

pytestmark = pytest.mark.unit

OPERATORS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "(", ")"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def printed_lines(page: Path) -> Iterator[str]:
    """Yield the shell lines of a page, with continued lines joined."""
    for language in ("sh", "console", "bash"):
        for block in blocks(page, language):
            yield from (line.strip().removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines())


def words(text: str) -> list[str]:
    """Split a shell command into words, up to an operator or a comment."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command_words = []
    for word in lexer:
        if word in OPERATORS:
            break
        command_words.append(word)
    return command_words


def load(name: str) -> BaseCommand:
    app = get_commands()[name]
    return app if isinstance(app, BaseCommand) else load_command_class(app, name)


PRINTED_COMMANDS = [
    (page, match[1])
    for page in pages()
    for line in printed_lines(page)
    if (match := re.search(r"\bmanage\.py ([a-z_].*)", line))
]


@pytest.mark.parametrize(
    ("page", "command"), PRINTED_COMMANDS, ids=[f"{page.relative_to(ROOT)}: {line}" for page, line in PRINTED_COMMANDS]
)
def test_printed_manage_commands_accept_their_arguments(page: Path, command: str) -> None:
    name, *arguments = words(command)
    assert load(name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_targets_and_modules_in_the_text_exist(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"(?<!git-)\bmanage\.py ([a-z_]+)", text))
    assert named - set(get_commands()) - {"help", "command"} == set()
    targets = set(re.findall(r"(?:^|`|^\$ )(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]+)", text, re.MULTILINE))
    assert targets - TARGETS == set()
    modules = set(re.findall(r"-m ((?:flyte_client|examples|tests)(?:\.[a-z_]+)*)", text))
    assert [module for module in modules if importlib.util.find_spec(module) is None] == []
