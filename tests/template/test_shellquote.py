"""The filter shellquote: a real shell reads the words back unchanged."""

import shutil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.template import RenderContext, TemplateError, compile_template
from tests import processes

SHELLS = [name for name in ("sh", "bash", "dash", "busybox") if shutil.which(name)]
WORDS = ["", " ", "a b", "it's", "''", '"', "$HOME", "$(id)", "`id`", "a;b", "a\nb", "*", "~", "-n", "if", "A=b"]
WORDS += ["\\", "!!", "ü€"]

pytestmark = pytest.mark.unit


def quoted(value: Any) -> str:
    return compile_template("{{ Event.Payload|shellquote }}").render(RenderContext({"Event": {"Payload": value}}, str))


def words_of(shell: str, script: str) -> list[str]:
    command = [shell, "sh", "-c"] if shell == "busybox" else [shell, "-c"]
    done = processes.run(
        [*command, f"for w in {script}; do printf '%s\\0' \"$w\"; done"], capture_output=True, check=True
    )
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_quoted_words_unchanged(shell: str) -> None:
    assert words_of(shell, quoted(WORDS)) == WORDS
    assert words_of(shell, " ".join(map(quoted, WORDS))) == WORDS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), min_size=1, max_size=5))
def test_a_shell_reads_any_quoted_words_unchanged(words: list[str]) -> None:
    assert words_of("sh", quoted(words)) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "'5'"), (True, "'True'"), (None, "''"), ([], ""), ([1, "a b"], "'1' 'a b'"), ({"a": 1}, "'{\"a\":1}'")],
)
def test_other_values_are_quoted_as_they_print(value: Any, text: str) -> None:
    assert quoted(value) == text


def test_nul_and_too_long_texts_are_errors() -> None:
    with pytest.raises(TemplateError, match="NUL"):
        quoted("a\0b")
    with pytest.raises(TemplateError, match="too long"):
        quoted("'" * 900_000)
