"""What a handler can ask about the action that it works on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CurrentAction:
    """An action in hand.

    `cancelled` is set when the work on it has become pointless: its execution was cancelled, or its time ran out while
    the server could not be reached. A handler that works for long looks at it now and then, waits with
    `cancelled.wait(seconds)` instead of sleeping, and returns early. What it returns then changes nothing in its flow.
    An async handler is cancelled at what it awaits, and need not look.
    """

    command: str
    cancelled: threading.Event = field(default_factory=threading.Event)
    _callbacks: list[Callable[[], object]] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def cancel(self) -> None:
        """Set `cancelled`, and call whoever waits for that. It is the library that calls this."""
        with self._lock:
            self.cancelled.set()
            for callback in self._callbacks:
                callback()

    @contextmanager
    def when_cancelled(self, callback: Callable[[], object]) -> Iterator[None]:
        """Have `hook` called once, if the action is cancelled before the block ends; never after that."""
        with self._lock:
            self._callbacks.append(callback)
            if self.cancelled.is_set():
                callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


_current_action: ContextVar[CurrentAction] = ContextVar("current_action")


def current_action() -> CurrentAction:
    """The action that the calling handler works on.

    A thread that a handler starts is not that handler: ask before, and hand over what you got. Raises `LookupError`
    where no handler runs.
    """
    try:
        return _current_action.get()
    except LookupError:
        raise LookupError("no action is in hand here: ask in a handler, and not in a thread that it starts") from None


@contextmanager
def use_current_action(action: CurrentAction) -> Iterator[None]:
    """Make `action` the current one for as long as the block runs."""
    token = _current_action.set(action)
    try:
        yield
    finally:
        _current_action.reset(token)
