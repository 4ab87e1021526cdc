"""Events for what is new in lists that another system shows, each sent once though the pack is started anew."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.basis.rest import RestError
from flyte_client.packs.basis.state import StateFile

# The event itself is at fault, or was taken before: sending it again changes nothing.
UNFIT = frozenset({400, 413, 422})
MOST_REMEMBERED = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """Something in a list; another `id` is something new, even if it was there before in another state."""

    id: str
    event: Event


Look = Callable[[threading.Event], Sequence[Item]]
"""What a list shows now, oldest first. Raises `RestError`."""


class News:
    """Goes round the `lists`, by name, every so many seconds.

    What a list shows at the very first look is its past, and makes no event. `state` remembers what was told; what was
    under way in a crash is sent again with the same key, so that the server takes it once. The first time that a list
    can't be read is an event, too (`<prefix>Unreachable`), and so is the first time that it can again.
    """

    def __init__(self, pack: Pack, state: StateFile, lists: Mapping[str, Look], every: float) -> None:
        self._pack = pack
        self._file = state
        self._lists = lists
        self._every = every
        self._state: dict[str, Any] = {"told": {}} | state.read()
        self._failing: set[str] = set()

    def run(self, ending: threading.Event) -> None:
        while not ending.is_set():
            for name, look in self._lists.items():
                try:
                    self._round(name, look, ending)
                except RefusedError:
                    break  # is in the log; another token may help, and nothing was noted as told
            ending.wait(self._every)

    def _round(self, name: str, look: Look, ending: threading.Event) -> None:
        try:
            found = look(ending)
        except RestError as error:
            if not ending.is_set():
                self._failed(name, str(error))
            return
        self._reached(name)
        told = self._state["told"].get(name)
        if told is None:
            self._note(name, [item.id for item in found], found)
            return
        for item in found:
            if item.id not in told and not ending.is_set():
                self._tell(item)
                told = [*told, item.id]
                self._note(name, told, found)

    def _tell(self, item: Item) -> None:
        try:
            self._pack.send(item.event.name, item.event.payload, key=f"{self._pack.name.lower()}/{item.id}")
        except RefusedError as refusal:
            if refusal.status not in UNFIT:
                raise
        except ValueError as error:  # half of a surrogate pair, say, which no event can hold
            logger.error("event_unfit event=%s id=%s reason=%r", item.event.name, item.id, str(error))

    def _note(self, name: str, told: list[str], found: Sequence[Item]) -> None:
        there = {item.id for item in found}
        gone = [one for one in told if one not in there][-MOST_REMEMBERED:]
        self._state["told"][name] = gone + [one for one in told if one in there]
        self._file.write(self._state)

    def _failed(self, name: str, reason: str) -> None:
        logger.warning("list_unreadable list=%s reason=%r", name, reason)
        if name not in self._failing:
            self._pack.send(f"{self._pack.name}Unreachable", {"list": name, "error": reason})
            self._failing.add(name)

    def _reached(self, name: str) -> None:
        if name in self._failing:
            self._pack.send(f"{self._pack.name}Reachable", {"list": name})
            self._failing.discard(name)
