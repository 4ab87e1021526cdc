"""Characters that a line of text can't contain, and those that only look unusual."""

import pytest

from flyte_formats.characters import (
    escape_control_characters,
    has_control_characters,
    replace_control_characters,
    replace_surrogates,
)

pytestmark = pytest.mark.unit

# Characters that Python's `isprintable` rejects or may not know yet, but people write.
ORDINARY = [
    "会議\u3000資料",  # ideographic space
    "12\u202f000\u00a0€",  # narrow and normal no-break space
    "👩\u200d👩\u200d👧",  # emoji joined by ZERO WIDTH JOINER
    "\u200fشكرا\u200e",  # marks of the writing direction
    "\u2067עברית\u2069",  # isolates
    "Donau\u00addampf\u00adschiff",  # soft hyphen
    "🫩🪾 \U0001faea",  # emoji newer than Python's Unicode data
    "a\u2003b\u2009c",  # em and thin space
    "\ue000",  # private use
    "می\u200cخواهم",  # ZERO WIDTH NON-JOINER
    "x\ufeffy\u2060z",  # zero width and word joiner
]
CONTROL = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\ud800", "\udfff"]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_characters_are_no_control_characters(text: str) -> None:
    assert not has_control_characters(text)
    assert replace_control_characters(text, "?") == text
    assert escape_control_characters(text) == text
    assert replace_surrogates(text) == text


@pytest.mark.parametrize("character", CONTROL, ids=ascii)
def test_control_characters_are_recognized(character: str) -> None:
    assert has_control_characters(f"a{character}b")
    assert replace_control_characters(f"a{character}b", " ") == "a b"
    assert escape_control_characters(f"a{character}b").isascii()


def test_allowed_control_characters_stay() -> None:
    assert replace_control_characters("a\tb\nc", "?", allowed="\t") == "a\tb?c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half \ud83d", "half \ufffd"),
        ("\ude00 half", "\ufffd half"),
        ("\ud83d\ude00", "😀"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\udce9", "\ufffd"),
        ("", ""),
    ],
)
def test_unpaired_surrogates_are_replaced_and_pairs_are_joined(text: str, expected: str) -> None:
    assert replace_surrogates(text) == expected
