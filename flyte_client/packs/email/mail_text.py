"""Text in headers and parts of a mail: bytes that the standard library could not decode, and characters to remove."""

import re

from flyte_formats.characters import replace_surrogates
from flyte_formats.decoding import decode_text

# The standard library puts undecoded bytes into text as surrogates (PEP 383).
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]")


def decode_escaped_bytes(text: str) -> str:
    """Decode the bytes of a text that the standard library left undecoded."""
    if not _ESCAPED_BYTES.search(text):
        return text
    return decode_text(text.encode("utf-8", "surrogateescape"))


def remove_unstorable(text: str) -> str:
    """Remove characters that JSON or databases can't store."""
    return replace_surrogates(text).replace("\0", "")
