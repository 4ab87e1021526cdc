"""Text inside the drawing: escaped, cut to the width of its box, and in words for those who don't see the picture."""

import re
import unicodedata

from django.utils.html import escape
from django.utils.safestring import SafeString

# What XML 1.0 has no place for: control characters, halves of surrogate pairs, and the two that are no characters.
_INVALID_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INVALID_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def make_step_anchor(step_id: str) -> str:
    """The HTML id of a step on its page, other for every step id: `step-deploy`, `step-a.20b` for `a b`."""
    return "step-" + _INVALID_IN_ID.sub(_encode_as_hex, step_id)


def _encode_as_hex(match: re.Match[str]) -> str:
    return "".join(f".{byte:02x}" for byte in match[0].encode("utf-8", "surrogatepass"))


def escape_xml(text: str) -> SafeString:
    """The text as it may stand in XML, between tags or in quotes."""
    return escape(_INVALID_IN_XML.sub("\ufffd", text))


def clip_text(text: str, max_columns: int) -> str:
    """The text in one line of at most so many columns, `…` where some is left out; wide characters take two."""
    line = " ".join(text.split()) if text.strip() else text
    if _get_width(line[: max_columns + 1]) <= max_columns:
        return line
    clipped_text, used_columns = "", 1
    for character in line:
        used_columns += _get_width(character)
        if used_columns > max_columns:
            break
        clipped_text += character
    return clipped_text + "…"


def _get_width(text: str) -> int:
    return sum(_get_columns(character) for character in text)


def _get_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def truncate_tooltip(text: str, max_length: int = 500) -> str:
    """A text for a tooltip: whole, but not endless."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"
