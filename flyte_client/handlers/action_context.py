"""The current action, as seen by its handler."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CurrentAction:
    """The action that a handler is running.

    `cancelled` is set when the result is no longer needed: the execution was cancelled, or the action timed out while
    the server was unreachable. A long-running handler should check it regularly, wait with `cancelled.wait(seconds)`
    instead of sleeping, and return early; the returned event then has no effect on the flow. An async handler does not
    need to check: it is cancelled at its current `await`.
    """

    command: str
    cancelled: threading.Event = field(default_factory=threading.Event)
    _callbacks: list[Callable[[], object]] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def cancel(self) -> None:
        """Set `cancelled` and call the registered callbacks. For use by the library only."""
        with self._lock:
            self.cancelled.set()
            for callback in self._callbacks:
                callback()

    @contextmanager
    def when_cancelled(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call `callback` once if the action is cancelled before the block ends; never after that."""
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
    """Return the action of the calling handler.

    A thread that a handler starts has no current action: call this in the handler, and pass the result on. Raises
    `LookupError` outside a handler.
    """
    try:
        return _current_action.get()
    except LookupError:
        raise LookupError("no current action: call this in a handler, not in a thread that it starts") from None


@contextmanager
def use_current_action(action: CurrentAction) -> Iterator[None]:
    """Make `action` the current action while the block runs."""
    token = _current_action.set(action)
    try:
        yield
    finally:
        _current_action.reset(token)
