"""Balancing of connections among web processes: a process leaves new connections to those that have fewer.

The system gives a new connection to the process that wakes up first, often the same one again and again, and
connections last long. Without balancing, one process would serve all clients and the others none.
"""

import mmap

# The count of an unused slot, and of a process that accepts no connections.
NOT_ACCEPTING = -1
MAX_WORKERS = 512
# The number of consecutive yields while no other process accepts or ends a connection.
MAX_CONSECUTIVE_YIELDS = 10


class ConnectionCounts:
    """The connection counts of all processes, in memory that the master shares with the processes that it forks."""

    def __init__(self) -> None:
        self.counts = memoryview(mmap.mmap(-1, MAX_WORKERS * 4)).cast("i")
        self.counts[:] = memoryview(b"\xff" * MAX_WORKERS * 4).cast("i")
        self._free_slots = list(reversed(range(MAX_WORKERS)))

    def register_worker(self) -> "WorkerSlot":
        """Reserve a slot for a process to be forked. The master calls `release_worker` when that process has ended."""
        return WorkerSlot(self, self._free_slots.pop())

    def release_worker(self, slot: "WorkerSlot") -> None:
        """Release the slot of a process that has ended."""
        slot.stop_accepting()
        self._free_slots.append(slot.index)


class WorkerSlot:
    """The connection count of one process, created by `ConnectionCounts.register_worker`."""

    def __init__(self, connection_counts: ConnectionCounts, index: int) -> None:
        self.index = index
        self._counts = connection_counts.counts
        self._yields_left = MAX_CONSECUTIVE_YIELDS
        self._last_counts: list[int] = []

    def set_count(self, count: int) -> None:
        """Set the number of open connections; the process accepts more."""
        self._counts[self.index] = count

    def stop_accepting(self) -> None:
        """Mark the process as no longer accepting connections."""
        self._counts[self.index] = NOT_ACCEPTING

    def should_yield(self) -> bool:
        """Return True if a new connection should go to a different process, which has fewer.

        After MAX_CONSECUTIVE_YIELDS without activity of the others, return False regardless of the count.
        """
        my_count = self._counts[self.index]
        other_counts = [
            count for index, count in enumerate(self._counts) if count != NOT_ACCEPTING and index != self.index
        ]
        if other_counts != self._last_counts:
            self._last_counts, self._yields_left = other_counts, MAX_CONSECUTIVE_YIELDS
        if not self._yields_left or my_count <= min(other_counts, default=my_count):
            self._yields_left = MAX_CONSECUTIVE_YIELDS
            return False
        self._yields_left -= 1
        return True
