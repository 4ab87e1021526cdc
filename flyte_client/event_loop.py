"""The one event loop that all async handlers of a pack run in, in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from flyte_client.current import CurrentAction
from flyte_client.events import Event, fatal


class EventLoop:
    """Begins with the first async handler; a pack that has none has no such thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ending: Callable[[], Any] = lambda: None

    def finish(self, work: Awaitable[Any], current: CurrentAction) -> Any:
        """What the work gives, or raises. It is cancelled when the action is."""
        return asyncio.run_coroutine_threadsafe(_cancellable(work, current), self._running()).result()

    def stop(self) -> None:
        """End the loop, and with it whatever its handlers have left running there."""
        with self._lock:
            thread = self._thread
            if thread is not None and thread.is_alive():
                self._ending()
        if thread is not None:
            thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                begun: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(target=lambda: asyncio.run(self._run(begun)), name="loop", daemon=True)
                self._thread.start()
                self._loop = begun.result()
            assert self._loop is not None  # noqa: S101 - it stands since the thread does
            return self._loop

    async def _run(self, begun: "Future[asyncio.AbstractEventLoop]") -> None:
        loop, end = asyncio.get_running_loop(), asyncio.Event()
        self._ending = lambda: loop.call_soon_threadsafe(end.set)
        begun.set_result(loop)
        await end.wait()


async def _cancellable(work: Awaitable[Any], current: CurrentAction) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_guarded(work))
    with current.when_cancelled(lambda: loop.call_soon_threadsafe(task.cancel)):
        try:
            return await task
        except asyncio.CancelledError:
            return fatal("its handler was cancelled")


async def _guarded(work: Awaitable[Any]) -> Event | Any:
    try:
        return await work
    except SystemExit as error:  # would end the loop, and with it all other handlers
        raise RuntimeError(f"the handler called sys.exit({error.code!r})") from error
