"""Events that packs send, and their JSON encoding."""

import json
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flyte_formats.characters import replace_surrogates
from flyte_formats.json_text import NestingError, check_depth

FATAL = "FATAL"


@dataclass(frozen=True)
class Event:
    """Something that happened: flows match its `name`; `payload` is any JSON value."""

    name: str
    payload: Any = None


def fatal_event(message: str, trace: str = "") -> Event:
    """Build the `FATAL` event, which every command can return: an error that the pack's author did not handle."""
    return Event(FATAL, {"message": message, "traceback": trace})


def fatal_event_from(error: BaseException) -> Event:
    """Build a `FATAL` event with the error's message and traceback."""
    return fatal_event(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def encode_event(event: Event, *, with_time: bool = True) -> bytes:
    """Encode an event for the server, with the current time as `createdAt` unless `with_time` is False.

    Encode once, not at each attempt: retries then send the same bytes and keep the time of the event. Unpaired
    surrogates, which can't be sent, become U+FFFD. Raises `ValueError` or `TypeError` for a payload that is not
    JSON-serializable, and `NestingError` for one that the server does not accept.
    """
    document = {"event": event.name, "payload": event.payload}
    if with_time:
        document["createdAt"] = _format_now()
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise NestingError from None
    check_depth(document, text)
    return replace_surrogates(text).encode()


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
