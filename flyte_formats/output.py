"""Standard output whose encoding lacks some characters: a program must not end because of one character."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any


def tolerate_output_encoding() -> None:
    r"""Let standard output and error escape characters that their encoding lacks, such as `\u2026`.

    Call this at the start of a program, before its arguments are parsed: the text of `--help` is printed too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def format_json(value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """Format a value as JSON that standard output can encode: with its characters if possible, else with escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=default)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, default=default)
    return text
