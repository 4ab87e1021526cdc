"""How many connections each web process has: one that has more than another leaves new ones to that.

The system gives a new connection to whichever process is awake first, often to the same one again and again; and
connections are kept for long. Then one process would have all callers, and the others nothing to do.
"""

import mmap

# Nobody is there, or takes no connections.
NOT_ACCEPTING = -1
MAX_WORKERS = 512
# How often something is left to the others, if none of them is seen to take or end a connection meanwhile.
MAX_CONSECUTIVE_YIELDS = 10


class ConnectionCounts:
    """The numbers of all processes, in memory that a master shares with the processes that it forks afterwards."""

    def __init__(self) -> None:
        self.counts = memoryview(mmap.mmap(-1, MAX_WORKERS * 4)).cast("i")
        self.counts[:] = memoryview(b"\xff" * MAX_WORKERS * 4).cast("i")
        self._free_slots = list(reversed(range(MAX_WORKERS)))

    def register_worker(self) -> "WorkerSlot":
        """The one of a process that is about to be forked. Its master has to call `free` when that has ended."""
        return WorkerSlot(self, self._free_slots.pop())

    def release_worker(self, slot: "WorkerSlot") -> None:
        """However its process ended, nothing is left to it any more."""
        slot.stop_accepting()
        self._free_slots.append(slot.index)


class WorkerSlot:
    """The connections of one process. Made by `Crowds.crowd`."""

    def __init__(self, connection_counts: ConnectionCounts, index: int) -> None:
        self.index = index
        self._counts = connection_counts.counts
        self._yields_left = MAX_CONSECUTIVE_YIELDS
        self._last_counts: list[int] = []

    def set_count(self, count: int) -> None:
        """The process has so many now, and takes more."""
        self._counts[self.index] = count

    def stop_accepting(self) -> None:
        """The process takes no more."""
        self._counts[self.index] = NOT_ACCEPTING

    def should_yield(self) -> bool:
        """Whether a connection that came is one for another process, which has fewer.

        Not for ever: if the others do nothing, this one takes it, however many it has.
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
