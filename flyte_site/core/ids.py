"""Ids of events, executions, actions and flow versions."""

import re
import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TAIL_BITS = 48
_ID = re.compile("[0-9a-f]{24}")


class _IdGenerator:
    """A generator of ids that increase within a process, even within one millisecond."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.milliseconds = 0
        self.tail = 0

    def next_number(self) -> int:
        now = time.time_ns() // 1_000_000
        with self.lock:
            if now > self.milliseconds:
                self.milliseconds, self.tail = now, secrets.randbits(_TAIL_BITS - 1)
            else:
                self.tail += 1 + secrets.randbits(16)
            return self.milliseconds << _TAIL_BITS | self.tail


_generator = _IdGenerator()


def new_id() -> str:
    """Generate an id of 24 hexadecimal digits, the length of the original's ids.

    It has 48 bits of milliseconds since 1970, then 48 bits that increase from a random start. Ids of one process sort
    in the order of their creation. Ids of several processes sort by time and don't collide.
    """
    return f"{_generator.next_number():024x}"


def is_id(text: str) -> bool:
    """Return True if the text has the form of an id; otherwise no lookup is needed."""
    return bool(_ID.fullmatch(text))


def min_id_at(moment: datetime) -> str:
    """Return the smallest id of the millisecond of `moment`; all earlier ids are smaller."""
    return f"{max((moment - _EPOCH) // _MILLISECOND, 0) << _TAIL_BITS:024x}"


def created_at(some_id: str) -> datetime:
    """Return the creation time of an id, to the millisecond. Raise `ValueError` for an invalid id."""
    return _EPOCH + (int(some_id, 16) >> _TAIL_BITS) * _MILLISECOND
