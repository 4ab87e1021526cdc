"""Events as packs give them, and the JSON that the server takes them in."""

import json
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

FATAL = "FATAL"


@dataclass(frozen=True)
class Event:
    """Something that happened: `name` is what flows listen to, `payload` any JSON value."""

    name: str
    payload: Any = None


def fatal_event(message: str, trace: str = "") -> Event:
    """The event that every command can end in: something went wrong that the pack's author did not foresee."""
    return Event(FATAL, {"message": _replace_surrogates(message), "traceback": _replace_surrogates(trace)})


def fatal_event_from(error: BaseException) -> Event:
    """A `FATAL` event that carries the error's message and traceback."""
    return fatal_event(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def encode_event(event: Event, *, with_time: bool = True) -> bytes:
    """The event as the server takes it, `createdAt` being now, or where it is not `timed`, when the server gets it.

    Done once and not at each attempt: whatever is tried again is then the same, byte by byte, and keeps the time at
    which it happened. Raises `ValueError`, `TypeError` or `RecursionError` for a payload that JSON can't hold.
    """
    document = {"event": event.name, "payload": event.payload}
    if with_time:
        document["createdAt"] = _format_now()
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _replace_surrogates(text: str) -> str:
    # Half of a surrogate pair, as undecodable bytes give it, has no place in UTF-8.
    return text.encode("utf-8", "replace").decode()
