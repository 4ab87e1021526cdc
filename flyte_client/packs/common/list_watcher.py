"""Events for new items in another system's lists; each is sent once, also across restarts of the pack."""

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

MAX_REMEMBERED = 1000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WatchedItem:
    """An item of a list; the same object in a different state has a different `id`."""

    id: str
    event: Event


FetchItems = Callable[[threading.Event], Sequence[WatchedItem]]
"""Function that returns the current items of a list, oldest first. Raises `RestError`."""


class ListWatcher:
    """Polls the `lists`, by name, every `interval` seconds.

    The items at the very first poll of a list are its history, and make no events. `state` stores the ids of sent
    items; after a crash an event may be sent again, with the same key, so that it counts once. The first failure to
    read a list is also an event (`<pack>Unreachable`), and so is the recovery (`<pack>Reachable`).
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
                    break  # already logged; a new token may help, and the item was not stored as sent
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
            if not error.is_permanent:
                raise

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
