"""A plugin in a process: loaded at the first use, with its rate limits and threads."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import structlog

from packs.hosted.counters import PluginCounters
from packs.hosted.plugin_api.config import PluginConfig
from packs.hosted.plugin_api.interfaces import Plugin, PluginEntry, PluginSetupContext, SecretManager
from packs.hosted.rate_limits import create_bucket

log = structlog.get_logger(__name__)

# Concurrent calls of a plugin that needs no threads.
MAX_INLINE_CALLS = 20
MAX_PAUSE_SECONDS = 60.0


class PluginRuntime:
    """A plugin in this process. `redis_url` is empty if rate limits are not shared."""

    def __init__(self, entry: PluginEntry, secrets: SecretManager, redis_url: str) -> None:
        self.entry = entry
        self.secrets = secrets
        self.counters = PluginCounters(entry.id)
        self.config: PluginConfig = entry.config
        self.read_bucket = create_bucket(redis_url, f"{entry.id}:read", self.config.read_rate_limiter)
        self.write_bucket = create_bucket(redis_url, f"{entry.id}:write", self.config.write_rate_limiter)
        self.round_lock = threading.Lock()
        self._load_lock = threading.Lock()
        self._plugin: Plugin | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._throttle_count = 0
        self._paused_until = {True: 0.0, False: 0.0}

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def capacity(self) -> int:
        """Return the maximum number of concurrent calls."""
        return self.config.caching.workers or MAX_INLINE_CALLS

    def get_plugin(self) -> Plugin:
        """Return the plugin. Raises the exceptions of its loader."""
        with self._load_lock:
            if self._plugin is None:
                context = PluginSetupContext(self.config, self.counters.scope("plugin"), self.secrets)
                self._plugin = self.entry.loader(context)
                log.info("plugin_loaded", plugin=self.id)
            return self._plugin

    def submit(self, call: Callable[[], Any]) -> "Future[Any]":
        """Run the call in a thread, or immediately if the plugin needs none."""
        if not self.config.caching.workers:
            future: Future[Any] = Future()
            try:
                future.set_result(call())
            except Exception as error:
                future.set_exception(error)
            return future
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.config.caching.workers, thread_name_prefix=f"webapi-{self.id}")
        return self._pool.submit(copy_context().run, call)

    def record_throttling(self, is_write: bool, retry_after: float) -> float:
        """Pause all calls of this kind, in all processes; return the pause in seconds.

        The pause doubles each time; calls that were in progress when it began do not count again.
        """
        self.counters.count("throttled")
        remaining = self._paused_until[is_write] - time.monotonic()
        if remaining > max(retry_after, 0):
            return remaining
        self._throttle_count += 1
        seconds = max(min(2.0 ** (self._throttle_count - 1), MAX_PAUSE_SECONDS) * random.uniform(0.8, 1.2), retry_after)  # noqa: S311
        seconds = min(seconds, 60 * MAX_PAUSE_SECONDS)
        (self.write_bucket if is_write else self.read_bucket).pause(seconds)
        self._paused_until[is_write] = time.monotonic() + seconds
        log.warning("plugin_throttled", plugin=self.id, seconds=round(seconds, 1))
        return seconds

    def reset_throttling(self) -> None:
        """Reset the pause to its minimum, after a successful call."""
        self._throttle_count = 0
