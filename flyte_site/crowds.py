"""How many connections each web process has: one that has more than another leaves new ones to that.

The system gives a new connection to whichever process is awake first, often to the same one again and again; and
connections are kept for long. Then one process would have all callers, and the others nothing to do.
"""

import mmap

# Nobody is there, or takes no connections.
NOBODY = -1
MOST_PROCESSES = 512
# How often something is left to the others, if none of them is seen to take or end a connection meanwhile.
PATIENCE = 10


class Crowds:
    """The numbers of all processes, in memory that a master shares with the processes that it forks afterwards."""

    def __init__(self) -> None:
        self.numbers = memoryview(mmap.mmap(-1, MOST_PROCESSES * 4)).cast("i")
        self.numbers[:] = memoryview(b"\xff" * MOST_PROCESSES * 4).cast("i")
        self._free = list(reversed(range(MOST_PROCESSES)))

    def crowd(self) -> "Crowd":
        """The one of a process that is about to be forked. Its master has to call `free` when that has ended."""
        return Crowd(self, self._free.pop())

    def free(self, crowd: "Crowd") -> None:
        """However its process ended, nothing is left to it any more."""
        crowd.leave()
        self._free.append(crowd.place)


class Crowd:
    """The connections of one process. Made by `Crowds.crowd`."""

    def __init__(self, crowds: Crowds, place: int) -> None:
        self.place = place
        self._numbers = crowds.numbers
        self._patience = PATIENCE
        self._seen: list[int] = []

    def note(self, connections: int) -> None:
        """The process has so many now, and takes more."""
        self._numbers[self.place] = connections

    def leave(self) -> None:
        """The process takes no more."""
        self._numbers[self.place] = NOBODY

    def leaves_it(self) -> bool:
        """Whether a connection that came is one for another process, which has fewer.

        Not for ever: if the others do nothing, this one takes it, however many it has.
        """
        mine = self._numbers[self.place]
        others = [number for place, number in enumerate(self._numbers) if number != NOBODY and place != self.place]
        if others != self._seen:
            self._seen, self._patience = others, PATIENCE
        if not self._patience or mine <= min(others, default=mine):
            self._patience = PATIENCE
            return False
        self._patience -= 1
        return True
