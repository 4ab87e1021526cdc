"""At-least-once delivery of events: recorded before sending, and again after the server has accepted them."""

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.pack import Pack
from flyte_client.packs.common.state_file import StateFile

logger = logging.getLogger(__name__)


class GitEventSender:
    """Sender that records in `state` the refs of each repository as of the last sent event.

    After a crash the pending event is sent again unchanged, with the same key, so that it counts once.
    """

    def __init__(self, pack: Pack, state: StateFile) -> None:
        self._pack = pack
        self._state_file = state
        self._state: dict[str, Any] = {"id": secrets.token_hex(8), "sent": 0, "repositories": {}} | state.read()

    def get_refs(self, name: str, url: str) -> Mapping[str, str] | None:
        """Return the refs as of the last sent event; None for a new repository."""
        repository_state = self._get_repository_state(name)
        return repository_state["refs"] if repository_state.get("url") == url else None

    def initialize(self, name: str, url: str, refs: Mapping[str, str]) -> None:
        """Record the current refs of a new repository without events for its history."""
        self._state["repositories"][name] = {"url": url, "failing": False, "refs": dict(refs)}
        self._state_file.write(self._state)

    def is_failing(self, name: str) -> bool:
        return bool(self._get_repository_state(name).get("failing"))

    def send_reachability(self, name: str, failing: bool, event: str, payload: Mapping[str, Any]) -> None:
        self._send(event, payload, {"repository": name, "failing": failing})

    def send_ref_event(self, name: str, ref: str, new: str | None, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event, then record the ref's new hash, or its deletion if `new` is None."""
        self._send(event, payload, {"repository": name, "ref": ref, "new": new})

    def send_pending(self) -> None:
        """Send the event that was pending when the pack stopped, or that was refused.

        Raises `ServerAwayError` on shutdown, and `RefusedError` if a later attempt may succeed, for example with a new
        token.
        """
        pending = self._state.get("pending")
        if not pending:
            return
        try:
            self._pack.send(pending["event"], pending["payload"], key=pending["key"])
        except RefusedError as error:
            if not error.is_permanent:
                raise
            logger.warning("event_given_up event=%s key=%s", pending["event"], pending["key"])
        self._apply_update(pending["then"])
        del self._state["pending"]
        self._state_file.write(self._state)

    def _send(self, event: str, payload: Mapping[str, Any], state_update: Mapping[str, Any]) -> None:
        self._state["sent"] += 1
        key = f"git/{self._state['id']}/{self._state['sent']}"
        self._state["pending"] = {"event": event, "payload": payload, "key": key, "then": state_update}
        self._state_file.write(self._state)
        self.send_pending()

    def _apply_update(self, state_update: Mapping[str, Any]) -> None:
        repository_state = self._state["repositories"].setdefault(state_update["repository"], {})
        if "failing" in state_update:
            repository_state["failing"] = state_update["failing"]
        elif state_update["new"] is None:
            repository_state["refs"].pop(state_update["ref"], None)
        else:
            repository_state["refs"][state_update["ref"]] = state_update["new"]

    def _get_repository_state(self, name: str) -> dict[str, Any]:
        repository_state: dict[str, Any] = self._state["repositories"].get(name, {})
        return repository_state
