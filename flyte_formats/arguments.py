"""Text in the arguments of a program."""

import os
import re

from flyte_formats.decoding import decode_text

# Python puts bytes that are invalid in the locale's encoding into arguments as surrogates (PEP 383).
_UNDECODED_BYTES = re.compile("[\udc80-\udcff]")


def decode_argument(text: str) -> str:
    """Decode an argument that is not a path, also if the locale's encoding is not that of the terminal or script."""
    return decode_text(os.fsencode(text)) if _UNDECODED_BYTES.search(text) else text
