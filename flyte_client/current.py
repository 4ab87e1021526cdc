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
    _hooks: list[Callable[[], object]] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def cancel(self) -> None:
        """Set `cancelled`, and call whoever waits for that. It is the library that calls this."""
        with self._lock:
            self.cancelled.set()
            for hook in self._hooks:
                hook()

    @contextmanager
    def when_cancelled(self, hook: Callable[[], object]) -> Iterator[None]:
        """Have `hook` called once, if the action is cancelled before the block ends; never after that."""
        with self._lock:
            self._hooks.append(hook)
            if self.cancelled.is_set():
                hook()
        try:
            yield
        finally:
            with self._lock:
                self._hooks.remove(hook)


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
