"""Text in headers and parts of a mail: encoded words, bytes that are not ASCII, and characters to remove."""

import base64
import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.headerregistry import HeaderRegistry
from email.message import Message
from typing import Any

from flyte_formats.characters import replace_surrogates
from flyte_formats.decoding import decode_text

# Encoded words (RFC 2047); white space between two of them is not part of the text.
_ENCODED_WORD = r"=\?[^?\s]+\?[BbQq]\?[^?]*\?="
_ENCODED_WORDS = re.compile(rf"{_ENCODED_WORD}(?:\s+{_ENCODED_WORD})*")
# The standard library puts undecoded bytes into text as surrogates (PEP 383).
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")
_HEADER_REGISTRY = HeaderRegistry()


def parse_header(message: Message, name: str) -> Any:
    """Parse the first header of this name, also if it has bytes that are not ASCII; return None if it is missing."""
    raw_value = get_raw_header(message, name)
    return None if raw_value is None else parse_header_text(name, raw_value)


def parse_header_text(name: str, text: str) -> Any:
    """Parse the text of a header of this name."""
    return _HEADER_REGISTRY(name, _join_encoded_words(text))


def get_raw_header(message: Message, name: str) -> str | None:
    """Return the text of the first header of this name in one line, or None if it is missing."""
    raw_value = next((value for header, value in message.raw_items() if header.lower() == name.lower()), None)
    return None if raw_value is None else decode_escaped_bytes("".join(re.split(r"[\r\n]+", raw_value)))


def decode_escaped_bytes(text: str) -> str:
    """Decode the bytes of a text that the standard library left undecoded."""
    if not _ESCAPED_BYTES.search(text):
        return text
    return decode_text(text.encode("utf-8", "surrogateescape"))


def remove_unstorable(text: str) -> str:
    """Remove characters that JSON or databases can't store."""
    return replace_surrogates(text).replace("\0", "")


def _join_encoded_words(header: str) -> str:
    """Replace encoded words that follow each other by one in UTF-8.

    The standard library adds blanks between those of a name, loses characters that are split between two words, and
    does not know all charsets.
    """
    return _ENCODED_WORDS.sub(_encode_as_one_word, header)


def _encode_as_one_word(match: re.Match[str]) -> str:
    try:
        parts = decode_header(match[0])
    except HeaderParseError:
        return match[0]
    text = "".join(part if isinstance(part, str) else decode_text(part, charset or "") for part, charset in parts)
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="
