"""What `shellquote` makes is, to a real shell, the very same words."""

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
def test_words_of_all_kinds_come_out_as_they_were(shell: str) -> None:
    assert words_of(shell, quoted(WORDS)) == WORDS
    assert words_of(shell, " ".join(map(quoted, WORDS))) == WORDS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")), min_size=1, max_size=5))
def test_any_words_come_out_as_they_were(words: list[str]) -> None:
    assert words_of("sh", quoted(words)) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "'5'"), (True, "'True'"), (None, "''"), ([], ""), ([1, "a b"], "'1' 'a b'"), ({"a": 1}, "'{\"a\":1}'")],
)
def test_other_values_are_quoted_as_they_print(value: Any, text: str) -> None:
    assert quoted(value) == text


def test_a_nul_and_a_text_that_gets_too_long_are_refused() -> None:
    with pytest.raises(TemplateError, match="NUL"):
        quoted("a\0b")
    with pytest.raises(TemplateError, match="too long"):
        quoted("'" * 900_000)
