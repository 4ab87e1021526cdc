"""Request ids, which connect the log lines from a request to the last action that it caused.

A request gets a new id, or that of a trusted proxy. Actions that it queues keep the id, and later work on them, in any
process, logs with it (`resume`). It is the field `request_id` of all these log lines.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from structlog.contextvars import bind_contextvars, bound_contextvars

from flyte_site.core.ids import new_id

LOG_FIELD = "request_id"
MAX_REQUEST_ID_LENGTH = 64
# structlog's context has the same value, but takes several times as long to read.
_current: ContextVar[str] = ContextVar("request_id", default="")
current: Callable[[], str] = _current.get
"""Return the current request id, or ''."""
_VALID_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_REQUEST_ID_LENGTH - 1}}}", re.ASCII)


def is_valid(text: str) -> bool:
    """Return True if an id that a client sent is valid in the log and in a header."""
    return _VALID_ID.fullmatch(text) is not None


@contextmanager
def bind(request_id: str = "", **fields: str) -> Iterator[None]:
    """Bind the id, or a new one if it is '', for the block; add it and `fields` to the log lines."""
    bound_id = request_id or new_id()
    token = _current.set(bound_id)
    try:
        with bound_contextvars(**{LOG_FIELD: bound_id, **fields}):
            yield
    finally:
        _current.reset(token)


def resume(request_id: str) -> None:
    """Switch to the id of a queued item until the end of the `bind` block; do nothing for ''."""
    if request_id and current():
        _current.set(request_id)
        bind_contextvars(**{LOG_FIELD: request_id})
