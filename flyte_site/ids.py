"""Ids of what happens: events, executions, actions, flow versions."""

import secrets
import threading
import time

_TAIL_BITS = 48


class _Clock:
    """The last id given out in this process, so that the next is greater even within one millisecond."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.milliseconds = 0
        self.tail = 0

    def next(self) -> int:
        now = time.time_ns() // 1_000_000
        with self.lock:
            if now > self.milliseconds:
                self.milliseconds, self.tail = now, secrets.randbits(_TAIL_BITS - 1)
            else:
                self.tail += 1 + secrets.randbits(16)
            return self.milliseconds << _TAIL_BITS | self.tail


_clock = _Clock()


def new_id() -> str:
    """24 hexadecimal digits, as long as the original's ids: 48 bits of milliseconds since 1970, then 48 bits that grow
    from a random start. Ids made by one process sort in the order in which they were made; ids of several processes
    sort by time and don't meet."""
    return f"{_clock.next():024x}"
