"""One id that leads through the log: from the request that began it to the last action that came of it.

A request begins with an id of its own, made here or accepted. What it queues keeps that id, and whoever works on that
later, in another process or days after, logs under it (`adopt`). Every log line within has it as `request_id`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from structlog.contextvars import bind_contextvars, bound_contextvars

from flyte_site.core.ids import new_id

LOG_FIELD = "request_id"
MAX_REQUEST_ID_LENGTH = 64
# What the log's lines have too; to look it up there takes several times as long.
_current: ContextVar[str] = ContextVar("request_id", default="")
_VALID_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_REQUEST_ID_LENGTH - 1}}}", re.ASCII)


def is_valid(text: str) -> bool:
    """Whether somebody's id can stand in the log and in a header."""
    return _VALID_ID.fullmatch(text) is not None


@contextmanager
def bind(request_id: str = "", **fields: str) -> Iterator[None]:
    """The id of all that happens in the block, a new one where none is given; `fields` stand in its log lines too."""
    bound_id = request_id or new_id()
    token = _current.set(bound_id)
    try:
        with bound_contextvars(**{LOG_FIELD: bound_id, **fields}):
            yield
    finally:
        _current.reset(token)


def current() -> str:
    """The id of what happens now; '' where nothing has one."""
    return _current.get()


def resume(request_id: str) -> None:
    """Go on under the id of what is worked on, to the end of the `within` block; '' is none, and changes nothing."""
    if request_id and current():
        _current.set(request_id)
        bind_contextvars(**{LOG_FIELD: request_id})
