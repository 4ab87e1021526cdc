"""Trace headers: headers of an action are sent with its result and with its handler's events.

So the server's traces and logs connect them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

PROPAGATED_HEADERS = ("traceparent", "tracestate", "X-Request-ID")
MAX_HEADER_LENGTH = 512

_current_headers: ContextVar[Mapping[str, str] | None] = ContextVar("carried", default=None)


def carried_headers() -> dict[str, str]:
    """Return the current action's trace headers, such as `traceparent`, for a handler's calls to other systems.

    Empty outside a handler.
    """
    return dict(_current_headers.get() or {})


def extract_trace_headers(response: httpx.Response) -> dict[str, str]:
    """Return the trace headers in a response."""
    headers = {name: response.headers.get(name, "") for name in PROPAGATED_HEADERS}
    return {name: value for name, value in headers.items() if 0 < len(value) <= MAX_HEADER_LENGTH}


@contextmanager
def propagate_headers(headers: Mapping[str, str]) -> Iterator[None]:
    """Send these headers with every call while the block runs."""
    token = _current_headers.set(headers)
    try:
        yield
    finally:
        _current_headers.reset(token)
