"""Ids of what happens: events, executions, actions, flow versions."""

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
    """The last id given out in this process, so that the next is greater even within one millisecond."""

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
    """24 hexadecimal digits, as long as the original's ids: 48 bits of milliseconds since 1970, then 48 bits that grow
    from a random start. Ids made by one process sort in the order in which they were made; ids of several processes
    sort by time and don't meet."""
    return f"{_generator.next_number():024x}"


def is_id(text: str) -> bool:
    """Whether an id may be so; what is not need not be looked for."""
    return bool(_ID.fullmatch(text))


def min_id_at(moment: datetime) -> str:
    """The least id that can be made in the millisecond of `moment`: ids of earlier ones are less."""
    return f"{max((moment - _EPOCH) // _MILLISECOND, 0) << _TAIL_BITS:024x}"


def created_at(some_id: str) -> datetime:
    """When an id was made, to the millisecond. Raises `ValueError` for what is no id."""
    return _EPOCH + (int(some_id, 16) >> _TAIL_BITS) * _MILLISECOND
