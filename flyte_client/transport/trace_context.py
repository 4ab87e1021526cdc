"""What leads from one call to the next: an action comes with headers that its result, and what else its handler has the
library send, carry back, so that traces and logs of the server go on where they were."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

PROPAGATED_HEADERS = ("traceparent", "tracestate", "X-Request-ID")
MAX_HEADER_LENGTH = 512

_current_headers: ContextVar[Mapping[str, str] | None] = ContextVar("carried", default=None)


def carried_headers() -> dict[str, str]:
    """The headers that came with the action in hand, such as `traceparent`, for a call of the handler's own to somebody
    else; none where no handler runs."""
    return dict(_current_headers.get() or {})


def extract_trace_headers(response: httpx.Response) -> dict[str, str]:
    """What an answer has of such headers."""
    headers = {name: response.headers.get(name, "") for name in PROPAGATED_HEADERS}
    return {name: value for name, value in headers.items() if 0 < len(value) <= MAX_HEADER_LENGTH}


@contextmanager
def propagate_headers(headers: Mapping[str, str]) -> Iterator[None]:
    """Send these headers with every call for as long as the block runs."""
    token = _current_headers.set(headers)
    try:
        yield
    finally:
        _current_headers.reset(token)
