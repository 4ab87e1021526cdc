"""The event loop for a pack's async handlers, in a separate thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from flyte_client.events import Event, fatal_event
from flyte_client.handlers.action_context import CurrentAction


class AsyncRunner:
    """Event loop thread, started with the first async handler; packs without async handlers do not start it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop_loop: Callable[[], Any] = lambda: None

    def run(self, awaitable: Awaitable[Any], current: CurrentAction) -> Any:
        """Run the awaitable in the event loop; return its result or raise its error. Cancel it with the action."""
        return asyncio.run_coroutine_threadsafe(_run_cancellable(awaitable, current), self._get_loop()).result()

    def stop(self) -> None:
        """Stop the loop, and the tasks that handlers left running in it."""
        with self._lock:
            thread = self._thread
            if thread is not None and thread.is_alive():
                self._stop_loop()
        if thread is not None:
            thread.join()

    def _get_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                started: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._run_until_stopped(started)), name="loop", daemon=True
                )
                self._thread.start()
                self._loop = started.result()
            assert self._loop is not None  # noqa: S101 - set when the thread was started
            return self._loop

    async def _run_until_stopped(self, started: "Future[asyncio.AbstractEventLoop]") -> None:
        loop, stop_event = asyncio.get_running_loop(), asyncio.Event()
        self._stop_loop = lambda: loop.call_soon_threadsafe(stop_event.set)
        started.set_result(loop)
        await stop_event.wait()


async def _run_cancellable(awaitable: Awaitable[Any], current: CurrentAction) -> Any:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_run_guarded(awaitable))
    with current.when_cancelled(lambda: loop.call_soon_threadsafe(task.cancel)):
        try:
            return await task
        except asyncio.CancelledError:
            return fatal_event("the handler was cancelled")


async def _run_guarded(awaitable: Awaitable[Any]) -> Event | Any:
    try:
        return await awaitable
    except SystemExit as error:  # would stop the loop and all other handlers
        raise RuntimeError(f"the handler called sys.exit({error.code!r})") from error
