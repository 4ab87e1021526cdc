"""Objects that the threads of a process share, such as caches and rate limits: created on first use, then kept."""

import threading
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
T = TypeVar("T")


class Runtime:
    """The shared objects of this process, by the function that creates them and its arguments."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._objects: dict[tuple[Any, ...], Any] = {}
        self._resets: list[Callable[[], None]] = []

    def get_or_create(self, create: Callable[[*Arguments], T], *args: *Arguments) -> T:
        """Return the object, created if this is the first call with these arguments."""
        key = (create, *args)
        with self._lock:
            if key not in self._objects:
                self._objects[key] = create(*args)
            return self._objects[key]  # type: ignore[no-any-return]

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Call the callback at each reset."""
        self._resets.append(callback)

    def reset(self) -> None:
        """Forget all objects, as after a restart. Their threads are not stopped. For tests."""
        with self._lock:
            self._objects.clear()
            for callback in self._resets:
                callback()


runtime = Runtime()


def process_wide(create: Callable[[*Arguments], T]) -> Callable[[*Arguments], T]:
    """Decorate a function that creates an object: all calls with equal arguments return the same one.

    Use it for state, and for few different arguments. For results that never change, use `functools.cache`.
    """

    # The cache answers without a lock; two threads that miss it at the same time get the same object.
    @cache
    @wraps(create)
    def get(*args: *Arguments) -> T:
        return runtime.get_or_create(create, *args)

    runtime.on_reset(get.cache_clear)
    return get  # type: ignore[return-value]
