"""Counters of plugins: collected in each process, added to the database's sums once a round."""

import threading
from collections import Counter

from django.db import transaction
from django.db.models import F

from packs.models import HostedCount


class Counts:
    """A plugin's counters in this process."""

    def __init__(self, plugin: str, prefix: str = "", shared: "Counts | None" = None) -> None:
        self._plugin = plugin
        self._prefix = prefix
        self._root = shared or self
        self._new: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        with self._root._lock:
            self._root._new[self._prefix + name] += by

    def scope(self, name: str) -> "Counts":
        """A scope within this one."""
        return Counts(self._plugin, f"{self._prefix}{name}.", self._root)

    def flush(self) -> None:
        """Add what is new to the sums; writes nothing where nothing is."""
        with self._root._lock:
            new, self._root._new = self._root._new, Counter()
        if not new:
            return
        with transaction.atomic():
            rows = [HostedCount(plugin=self._plugin, name=name) for name in sorted(new)]
            HostedCount.objects.bulk_create(rows, ignore_conflicts=True)
            for name, value in sorted(new.items()):
                HostedCount.objects.filter(plugin=self._plugin, name=name).update(value=F("value") + value)
