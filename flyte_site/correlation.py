"""One id that leads through the log: from the request that began it to the last action that came of it.

A request begins with an id of its own, made here or accepted. What it queues keeps that id, and whoever works on that
later, in another process or days after, logs under it (`adopt`). Every log line within has it as `request_id`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from flyte_site.ids import new_id

FIELD = "request_id"
MAX_REQUEST_ID = 64
_SANE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_REQUEST_ID - 1}}}", re.ASCII)


def is_sane(text: str) -> bool:
    """Whether somebody's id can stand in the log and in a header."""
    return _SANE.fullmatch(text) is not None


@contextmanager
def within(request_id: str = "", **fields: str) -> Iterator[None]:
    """The id of all that happens in the block, a new one where none is given; `fields` stand in its log lines too."""
    with bound_contextvars(**{FIELD: request_id or new_id(), **fields}):
        yield


def current() -> str:
    """The id of what happens now; '' where nothing has one."""
    return str(get_contextvars().get(FIELD, ""))


def adopt(request_id: str) -> None:
    """Go on under the id of what is worked on, to the end of the `within` block; '' is none, and changes nothing."""
    if request_id and current():
        bind_contextvars(**{FIELD: request_id})
