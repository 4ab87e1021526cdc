"""Characters that a line of text can't contain: control characters, line separators and unpaired surrogates.

All other characters are allowed, also those that are invisible or newer than Python's Unicode data: ideographic and
narrow spaces, soft hyphens, marks of the writing direction, and the joiners of emoji.
"""

import re

# C0, DEL and C1 (ISO/IEC 6429), LINE SEPARATOR and PARAGRAPH SEPARATOR, surrogates.
_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def has_control_characters(text: str) -> bool:
    """Return True if the text is not a single line of characters that can be stored."""
    return _CONTROL_CHARACTERS.search(text) is not None


def replace_control_characters(text: str, replacement: str, *, allowed: str = "") -> str:
    """Replace each control character that is not in `allowed`."""
    return _CONTROL_CHARACTERS.sub(lambda match: match[0] if match[0] in allowed else replacement, text)


def escape_control_characters(text: str) -> str:
    """Write control characters as in a string of Python, so that they can't send commands to a terminal."""
    return _CONTROL_CHARACTERS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def replace_surrogates(text: str) -> str:
    """Replace unpaired surrogates, which can't be sent or stored, by U+FFFD, as the original server does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
