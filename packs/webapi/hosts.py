"""What a process needs to work for a hosted pack: the plugin, loaded when first needed, its limits and threads."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import structlog

from packs.webapi.config import PluginConfig
from packs.webapi.interfaces import Plugin, PluginEntry, PluginSetupContext, SecretManager
from packs.webapi.limits import bucket
from packs.webapi.metrics import Counts

log = structlog.get_logger(__name__)

# What is under way at once for a plugin that needs no threads.
INLINE = 20
LONGEST_PAUSE_SECONDS = 60.0


class Host:
    """One plugin in this process. `redis_url` is empty where rates are not shared."""

    def __init__(self, entry: PluginEntry, secrets: SecretManager, redis_url: str) -> None:
        self.entry = entry
        self.secrets = secrets
        self.counts = Counts(entry.id)
        self.config: PluginConfig = entry.config
        self.reads = bucket(redis_url, f"{entry.id}:read", self.config.read_rate_limiter)
        self.writes = bucket(redis_url, f"{entry.id}:write", self.config.write_rate_limiter)
        self.working = threading.Lock()
        self._loading = threading.Lock()
        self._plugin: Plugin | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._throttled = 0
        self._paused_until = {True: 0.0, False: 0.0}

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def capacity(self) -> int:
        """How many calls may be under way at once."""
        return self.config.caching.workers or INLINE

    def plugin(self) -> Plugin:
        """The plugin; raises what its loader raises."""
        with self._loading:
            if self._plugin is None:
                context = PluginSetupContext(self.config, self.counts.scope("plugin"), self.secrets)
                self._plugin = self.entry.loader(context)
                log.info("plugin_loaded", plugin=self.id)
            return self._plugin

    def submit(self, work: Callable[[], Any]) -> "Future[Any]":
        """Have it done in a thread; at once where the plugin needs none."""
        if not self.config.caching.workers:
            done: Future[Any] = Future()
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)
            return done
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.config.caching.workers, thread_name_prefix=f"webapi-{self.id}")
        return self._pool.submit(copy_context().run, work)

    def throttled(self, write: bool, retry_after: float) -> float:
        """Call less often for a while, all of us; for how many seconds not at all.

        Each time in a row twice as long; calls that were under way when the pause began are not another time.
        """
        self.counts.count("throttled")
        left = self._paused_until[write] - time.monotonic()
        if left > max(retry_after, 0):
            return left
        self._throttled += 1
        seconds = max(min(2.0 ** (self._throttled - 1), LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2), retry_after)  # noqa: S311
        seconds = min(seconds, 60 * LONGEST_PAUSE_SECONDS)
        (self.writes if write else self.reads).pause(seconds)
        self._paused_until[write] = time.monotonic() + seconds
        log.warning("plugin_throttled", plugin=self.id, seconds=round(seconds, 1))
        return seconds

    def answered(self) -> None:
        """The service took a call: the next throttling begins with a short pause again."""
        self._throttled = 0
