"""Tracebacks for the log: types and locations of exceptions, without values that callers sent.

The message of an exception can quote data: PostgreSQL adds whole rows to its errors
(`DETAIL:  Failing row contains (…)`), a `ValueError` the invalid text. At DEBUG the log has the full messages.
"""

import sys
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from django.db import Error

MAX_MESSAGE_LENGTH = 200
MAX_CHAIN_LENGTH = 10
HIDDEN_MESSAGE = "(message hidden; set LOGLEVEL=DEBUG to log it)"
# The texts of Python's own tracebacks.
DIRECT_CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT_CAUSE = "During handling of the above exception, another exception occurred:"

# Messages of these types are about the program, files and sockets: they contain names, but no values.
SAFE_MESSAGE_TYPES = (
    AttributeError,
    ImportError,
    MemoryError,
    NameError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
)
# The class of SQLSTATEs whose message quotes a value: `invalid input syntax for type integer: "…"`.
DATA_EXCEPTION_CLASS = "22"


def safe_database_message(error: BaseException) -> str:
    """Format a database error in one line, without values of rows: no DETAIL, no CONTEXT, no statement."""
    cause = error.__cause__ or error
    diagnostics = getattr(cause, "diag", None)
    sqlstate = getattr(diagnostics, "sqlstate", None) or ""
    if sqlstate.startswith(DATA_EXCEPTION_CLASS):
        return f"SQLSTATE {sqlstate}"
    message = getattr(diagnostics, "message_primary", None) or _strip_details(str(cause))
    return " ".join(str(message).split())[:MAX_MESSAGE_LENGTH]


def _strip_details(text: str) -> str:
    """Return the text before the details, for errors of drivers without separate parts."""
    return text.partition("DETAIL:")[0].partition("CONTEXT:")[0]


def redact_exception(_: Any, __: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Replace the exception of a log line with its redacted traceback (a processor of structlog)."""
    error = _exception_of(fields.pop("exc_info", None))
    if error is not None:
        fields["exception"] = "\n".join(_format_exception(error))
    return fields


def _exception_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _format_exception(error: BaseException) -> Iterator[str]:
    """Format the traceback as Python does, from the first cause to the exception itself."""
    for index, (exception, link) in enumerate(_exception_chain(error)):
        if index:
            yield f"\n{link}\n"
        yield from _format_frames(exception.__traceback__)
        yield f"{type(exception).__module__}.{type(exception).__qualname__}: {_safe_message(exception)}"


def _exception_chain(error: BaseException) -> Sequence[tuple[BaseException, str]]:
    """Return the causes of an exception and itself, first cause first, each with the line that links it to the next."""
    chain: list[tuple[BaseException, str]] = []
    current: BaseException | None = error
    while current is not None and len(chain) < MAX_CHAIN_LENGTH and all(current is not earlier for earlier, _ in chain):
        is_direct = current.__cause__ is not None
        chain.append((current, DIRECT_CAUSE if is_direct else CONTEXT_CAUSE))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return chain[::-1]


def _format_frames(frames: TracebackType | None) -> Iterator[str]:
    if frames is not None:
        yield "Traceback (most recent call last):"
        yield from (line.rstrip("\n") for line in traceback.format_tb(frames))


def _safe_message(error: BaseException) -> str:
    if isinstance(error, Error) or getattr(error, "diag", None) is not None:
        return safe_database_message(error)
    return str(error)[:MAX_MESSAGE_LENGTH] if isinstance(error, SAFE_MESSAGE_TYPES) else HIDDEN_MESSAGE
