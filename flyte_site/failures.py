"""What the log tells of an exception: where it came from and what kind it is, but no value that somebody sent.

The message of an exception may quote what was being worked on: PostgreSQL adds whole rows to its errors
(`DETAIL:  Failing row contains (…)`), a `ValueError` the text that was none. At DEBUG the log has all of it.
"""

import sys
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from django.db import Error

MAX_MESSAGE = 200
MOST_IN_CHAIN = 10
UNTOLD = "(LOGLEVEL=DEBUG tells its message)"

# What these say is about the program, or about files and sockets: their messages have names, and no values.
ABOUT_PROGRAMS = (
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
)
# The class of SQLSTATEs whose very message quotes a value: `invalid input syntax for type integer: "…"`.
DATA_EXCEPTIONS = "22"


def database_message(error: BaseException) -> str:
    """A database error in one line, without the values of rows: no DETAIL, no CONTEXT, no statement."""
    found = error.__cause__ or error
    diagnosis = getattr(found, "diag", None)
    state = getattr(diagnosis, "sqlstate", None) or ""
    if state.startswith(DATA_EXCEPTIONS):
        return f"SQLSTATE {state}"
    told = getattr(diagnosis, "message_primary", None) or _first_part(str(found))
    return " ".join(str(told).split())[:MAX_MESSAGE]


def _first_part(text: str) -> str:
    """What stands before the details, where a driver's error has one text and no parts."""
    return text.partition("DETAIL:")[0].partition("CONTEXT:")[0]


def without_values(_: Any, __: str, fields: dict[str, Any]) -> dict[str, Any]:
    """For `structlog`: the exception of a line as its traceback, told by types, places and harmless messages."""
    error = _error(fields.pop("exc_info", None))
    if error is not None:
        fields["exception"] = "\n".join(_lines(error))
    return fields


def _error(told: Any) -> BaseException | None:
    if isinstance(told, BaseException):
        return told
    if isinstance(told, tuple):
        return told[1] if isinstance(told[1], BaseException) else None
    return sys.exc_info()[1] if told else None


def _lines(error: BaseException) -> Iterator[str]:
    """Python's own form of a traceback, from the first cause to the exception itself."""
    for place, (one, link) in enumerate(_chain(error)):
        if place:
            yield f"\n{link}\n"
        yield from _frames(one.__traceback__)
        yield f"{type(one).__module__}.{type(one).__qualname__}: {_message(one)}"


def _chain(error: BaseException) -> Sequence[tuple[BaseException, str]]:
    """The causes of an exception, the first one first, each with the words that lead to it."""
    found: list[tuple[BaseException, str]] = []
    one: BaseException | None = error
    while one is not None and len(found) < MOST_IN_CHAIN and all(one is not known for known, _ in found):
        direct = one.__cause__ is not None
        found.append((one, "It caused:" if direct else "While it was handled, this came:"))
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found[::-1]


def _frames(place: TracebackType | None) -> Iterator[str]:
    if place is not None:
        yield "Traceback (most recent call last):"
        yield from (line.rstrip("\n") for line in traceback.format_tb(place))


def _message(error: BaseException) -> str:
    if isinstance(error, Error) or getattr(error, "diag", None) is not None:
        return database_message(error)
    return str(error)[:MAX_MESSAGE] if isinstance(error, ABOUT_PROGRAMS) else UNTOLD
