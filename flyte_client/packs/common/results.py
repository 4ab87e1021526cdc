"""Result events of commands that call another system: one event for success, one for failure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.common.errors import ServiceError

MAX_TEXT_LENGTH = 32_767
MAX_DIGITS = 11
LINE_BREAK = re.compile(r"\s*[\r\n]\s*")


def run_command(
    success_event: str,
    failure_event: str,
    echoed: Mapping[str, Any],
    call: Callable[[], Mapping[str, Any] | None],
    system: str = "",
) -> Event:
    """Run `call`; return the success event with its result, or the failure event with `error` and `temporary`.

    Both repeat the fields in `echoed`. `call` raises `ValueError` for an invalid input, and `ServiceError` if the other
    system failed; `system` is put before the message of the latter.
    """
    try:
        return Event(success_event, {**echoed, **(call() or {})})
    except (ValueError, ServiceError) as error:
        return Event(failure_event, {**echoed, **describe_failure(error, system)})


def describe_failure(error: ValueError | ServiceError, system: str = "") -> dict[str, Any]:
    """Return the fields `error` and `temporary` of a failure event."""
    if isinstance(error, ServiceError):
        return {"error": f"{system}: {error}" if system else str(error), "temporary": error.temporary}
    return {"error": str(error), "temporary": False}


def pick_fields(command_input: Any, *names: str) -> dict[str, Any]:
    """Return these fields of an input, '' for missing ones."""
    fields_by_name = command_input if isinstance(command_input, dict) else {}
    return {name: fields_by_name.get(name) or "" for name in names}


def require_text(fields: Mapping[str, Any], name: str) -> str:
    """Return a text field. Raises `ValueError` if it is not text, empty or too long."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT_LENGTH:
        raise ValueError(f"{name}: must be a non-empty string of at most {MAX_TEXT_LENGTH} characters")
    return value


def require_line(fields: Mapping[str, Any], name: str) -> str:
    """Return a text field as a single line, without white space at its ends. Raises `ValueError` like `require_text`.

    The output of a program, which a flow may pass on, ends with a line break.
    """
    return LINE_BREAK.sub(" ", require_text(fields, name).strip())


def require_int(fields: Mapping[str, Any], name: str, minimum: int, maximum: int) -> int:
    """Return a whole number, also from a text of digits, with white space around it: a flow's template yields text.

    Raises `ValueError` for anything else, and for a number out of range.
    """
    value = fields.get(name)
    if isinstance(value, str) and len(value) <= MAX_TEXT_LENGTH:
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else value
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise ValueError(f"{name}: must be a whole number from {minimum} to {maximum}")
    return value
