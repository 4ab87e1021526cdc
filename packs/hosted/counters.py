"""Counters of plugins: collected in each process, added to the database's sums once per round."""

import threading
from collections import Counter

from django.db import transaction
from django.db.models import F

from packs.models import HostedCount


class PluginCounters:
    """A plugin's counters in this process."""

    def __init__(self, plugin: str, prefix: str = "", root: "PluginCounters | None" = None) -> None:
        self._plugin = plugin
        self._prefix = prefix
        self._root = root or self
        self._pending: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, name: str, by: int = 1) -> None:
        """Increase a counter."""
        with self._root._lock:
            self._root._pending[self._prefix + name] += by

    def scope(self, name: str) -> "PluginCounters":
        """Return a scope within this one."""
        return PluginCounters(self._plugin, f"{self._prefix}{name}.", self._root)

    def flush(self) -> None:
        """Add new counts to the sums; write nothing without new counts."""
        with self._root._lock:
            pending, self._root._pending = self._root._pending, Counter()
        if not pending:
            return
        with transaction.atomic():
            rows = [HostedCount(plugin=self._plugin, name=name) for name in sorted(pending)]
            HostedCount.objects.bulk_create(rows, ignore_conflicts=True)
            for name, value in sorted(pending.items()):
                HostedCount.objects.filter(plugin=self._plugin, name=name).update(value=F("value") + value)
