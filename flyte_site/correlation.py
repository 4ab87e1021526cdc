"""One id that leads through the log: from the request that began it to the last action that came of it.

A request begins with an id of its own, made here or accepted. What it queues keeps that id, and whoever works on that
later, in another process or days after, logs under it (`adopt`). Every log line within has it as `request_id`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from structlog.contextvars import bind_contextvars, bound_contextvars

from flyte_site.ids import new_id

FIELD = "request_id"
MAX_REQUEST_ID = 64
# What the log's lines have too; to look it up there takes several times as long.
_current: ContextVar[str] = ContextVar("request_id", default="")
_SANE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_REQUEST_ID - 1}}}", re.ASCII)


def is_sane(text: str) -> bool:
    """Whether somebody's id can stand in the log and in a header."""
    return _SANE.fullmatch(text) is not None


@contextmanager
def within(request_id: str = "", **fields: str) -> Iterator[None]:
    """The id of all that happens in the block, a new one where none is given; `fields` stand in its log lines too."""
    chosen = request_id or new_id()
    token = _current.set(chosen)
    try:
        with bound_contextvars(**{FIELD: chosen, **fields}):
            yield
    finally:
        _current.reset(token)


def current() -> str:
    """The id of what happens now; '' where nothing has one."""
    return _current.get()


def adopt(request_id: str) -> None:
    """Go on under the id of what is worked on, to the end of the `within` block; '' is none, and changes nothing."""
    if request_id and current():
        _current.set(request_id)
        bind_contextvars(**{FIELD: request_id})
