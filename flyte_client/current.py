"""What a handler can ask about the action that it works on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CurrentAction:
    """An action in hand.

    `cancelled` is set when the work on it has become pointless: its execution was cancelled, or its time ran out while
    the server could not be reached. A handler that works for long looks at it now and then, waits with
    `cancelled.wait(seconds)` instead of sleeping, and returns early. What it returns then changes nothing in its flow.
    """

    command: str
    cancelled: threading.Event = field(default_factory=threading.Event)


_current: ContextVar[CurrentAction] = ContextVar("current_action")


def current_action() -> CurrentAction:
    """The action that the calling handler works on.

    A thread that a handler starts is not that handler: ask before, and hand over what you got. Raises `LookupError`
    where no handler runs.
    """
    try:
        return _current.get()
    except LookupError:
        raise LookupError("no action is in hand here: ask in a handler, and not in a thread that it starts") from None


@contextmanager
def working_on(action: CurrentAction) -> Iterator[None]:
    """Make `action` the current one for as long as the block runs."""
    token = _current.set(action)
    try:
        yield
    finally:
        _current.reset(token)
