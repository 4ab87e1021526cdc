"""What leads from one call to the next: an action comes with headers that its result, and what else its handler has the
library send, carry back, so that traces and logs of the server go on where they were."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

HEADERS = ("traceparent", "tracestate", "X-Request-ID")
MAX_VALUE = 512

_carried: ContextVar[Mapping[str, str] | None] = ContextVar("carried", default=None)


def carried_headers() -> dict[str, str]:
    """The headers that came with the action in hand, such as `traceparent`, for a call of the handler's own to somebody
    else; none where no handler runs."""
    return dict(_carried.get() or {})


def carried_by(answer: httpx.Response) -> dict[str, str]:
    """What an answer has of such headers."""
    found = {name: answer.headers.get(name, "") for name in HEADERS}
    return {name: value for name, value in found.items() if 0 < len(value) <= MAX_VALUE}


@contextmanager
def carrying(headers: Mapping[str, str]) -> Iterator[None]:
    """Send these headers with every call for as long as the block runs."""
    token = _carried.set(headers)
    try:
        yield
    finally:
        _carried.reset(token)
