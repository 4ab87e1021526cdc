"""Text in diagrams: escaping, clipping to the width of a box, and anchors."""

import re
import unicodedata

from django.utils.html import escape
from django.utils.safestring import SafeString

# Characters that XML 1.0 forbids: control characters, lone surrogates, and the two noncharacters.
_INVALID_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INVALID_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def make_step_anchor(step_id: str) -> str:
    """Return the HTML id of a step on its page, unique for each step id: `step-deploy`, `step-a.20b` for `a b`."""
    return "step-" + _INVALID_IN_ID.sub(_encode_as_hex, step_id)


def _encode_as_hex(match: re.Match[str]) -> str:
    return "".join(f".{byte:02x}" for byte in match[0].encode("utf-8", "surrogatepass"))


def escape_xml(text: str) -> SafeString:
    """Escape the text for XML, between tags or in quotes."""
    return escape(_INVALID_IN_XML.sub("\ufffd", text))


def clip_text(text: str, max_columns: int) -> str:
    """Cut the text to one line of at most so many columns, with `…` at the cut; wide characters take two columns."""
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
    """Cut a text for a tooltip to a maximum length."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"
