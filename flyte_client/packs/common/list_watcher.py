"""Events for what is new in lists that another system shows, each sent once though the pack is started anew."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.common.rest_client import RestError
from flyte_client.packs.common.state_file import StateFile

# The event itself is at fault, or was taken before: sending it again changes nothing.
PERMANENT_ERRORS = frozenset({400, 413, 422})
MAX_REMEMBERED = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WatchedItem:
    """Something in a list; another `id` is something new, even if it was there before in another state."""

    id: str
    event: Event


FetchItems = Callable[[threading.Event], Sequence[WatchedItem]]
"""What a list shows now, oldest first. Raises `RestError`."""


class ListWatcher:
    """Goes round the `lists`, by name, every so many seconds.

    What a list shows at the very first look is its past, and makes no event. `state` remembers what was told; what was
    under way in a crash is sent again with the same key, so that the server takes it once. The first time that a list
    can't be read is an event, too (`<prefix>Unreachable`), and so is the first time that it can again.
    """

    def __init__(self, pack: Pack, state: StateFile, lists: Mapping[str, FetchItems], interval: float) -> None:
        self._pack = pack
        self._state_file = state
        self._lists = lists
        self._interval = interval
        self._state: dict[str, Any] = {"told": {}} | state.read()
        self._failing: set[str] = set()

    def run(self, stop_event: threading.Event) -> None:
        while not stop_event.is_set():
            for name, fetch in self._lists.items():
                try:
                    self._check_list(name, fetch, stop_event)
                except RefusedError:
                    break  # is in the log; another token may help, and nothing was noted as told
            stop_event.wait(self._interval)

    def _check_list(self, name: str, fetch: FetchItems, stop_event: threading.Event) -> None:
        try:
            items = fetch(stop_event)
        except RestError as error:
            if not stop_event.is_set():
                self._report_unreachable(name, str(error))
            return
        self._report_reachable(name)
        sent_ids = self._state["told"].get(name)
        if sent_ids is None:
            self._save_sent(name, [item.id for item in items], items)
            return
        for item in items:
            if item.id not in sent_ids and not stop_event.is_set():
                self._send_event(item)
                sent_ids = [*sent_ids, item.id]
                self._save_sent(name, sent_ids, items)

    def _send_event(self, item: WatchedItem) -> None:
        try:
            self._pack.send(item.event.name, item.event.payload, key=f"{self._pack.name.lower()}/{item.id}")
        except RefusedError as error:
            if error.status not in PERMANENT_ERRORS:
                raise
        except ValueError as error:  # half of a surrogate pair, say, which no event can hold
            logger.error("event_unfit event=%s id=%s reason=%r", item.event.name, item.id, str(error))

    def _save_sent(self, name: str, sent_ids: list[str], items: Sequence[WatchedItem]) -> None:
        current_ids = {item.id for item in items}
        old_ids = [item_id for item_id in sent_ids if item_id not in current_ids][-MAX_REMEMBERED:]
        self._state["told"][name] = old_ids + [item_id for item_id in sent_ids if item_id in current_ids]
        self._state_file.write(self._state)

    def _report_unreachable(self, name: str, reason: str) -> None:
        logger.warning("list_unreadable list=%s reason=%r", name, reason)
        if name not in self._failing:
            self._pack.send(f"{self._pack.name}Unreachable", {"list": name, "error": reason})
            self._failing.add(name)

    def _report_reachable(self, name: str) -> None:
        if name in self._failing:
            self._pack.send(f"{self._pack.name}Reachable", {"list": name})
            self._failing.discard(name)
