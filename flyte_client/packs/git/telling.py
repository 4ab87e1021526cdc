"""Events that are sent at least once each: noted before they are sent, and again after the server has accepted them."""

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.pack import Pack
from flyte_client.packs.basis.state import StateFile

# The event itself is at fault, or was taken before: sending it again changes nothing.
UNFIT = frozenset({400, 413, 422})

logger = logging.getLogger(__name__)


class Teller:
    """Knows, in `state`, what each repository was like when Flyte was last told of it.

    After a crash the event that was under way is sent again just as it was, with the key that it had, so that the
    server takes it once.
    """

    def __init__(self, pack: Pack, state: StateFile) -> None:
        self._pack = pack
        self._file = state
        self._state: dict[str, Any] = {"id": secrets.token_hex(8), "sent": 0, "repositories": {}} | state.read()

    def known(self, name: str, url: str) -> Mapping[str, str] | None:
        """The refs of which Flyte was told; None for a repository that was never looked at."""
        noted = self._repository(name)
        return noted["refs"] if noted.get("url") == url else None

    def begin(self, name: str, url: str, refs: Mapping[str, str]) -> None:
        """Take what is there now as known: whoever begins to look at a repository wants none of its past."""
        self._state["repositories"][name] = {"url": url, "failing": False, "refs": dict(refs)}
        self._file.write(self._state)

    def failing(self, name: str) -> bool:
        return bool(self._repository(name).get("failing"))

    def tell_failing(self, name: str, failing: bool, event: str, payload: Mapping[str, Any]) -> None:
        self._tell(event, payload, {"repository": name, "failing": failing})

    def tell(self, name: str, ref: str, new: str | None, event: str, payload: Mapping[str, Any]) -> None:
        """Send an event, after which the ref is known to be `new`."""
        self._tell(event, payload, {"repository": name, "ref": ref, "new": new})

    def finish(self) -> None:
        """Send what was under way when the pack ended, or was refused.

        Raises `ServerAwayError` when the pack is to end, and `RefusedError` where another token, say, would help.
        """
        pending = self._state.get("pending")
        if not pending:
            return
        try:
            self._pack.send(pending["event"], pending["payload"], key=pending["key"])
        except RefusedError as refusal:
            if refusal.status not in UNFIT:
                raise
            logger.warning("event_given_up event=%s key=%s", pending["event"], pending["key"])
        self._apply(pending["then"])
        del self._state["pending"]
        self._file.write(self._state)

    def _tell(self, event: str, payload: Mapping[str, Any], then: Mapping[str, Any]) -> None:
        self._state["sent"] += 1
        key = f"git/{self._state['id']}/{self._state['sent']}"
        self._state["pending"] = {"event": event, "payload": payload, "key": key, "then": then}
        self._file.write(self._state)
        self.finish()

    def _apply(self, then: Mapping[str, Any]) -> None:
        noted = self._state["repositories"].setdefault(then["repository"], {})
        if "failing" in then:
            noted["failing"] = then["failing"]
        elif then["new"] is None:
            noted["refs"].pop(then["ref"], None)
        else:
            noted["refs"][then["ref"]] = then["new"]

    def _repository(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._state["repositories"].get(name, {})
        return found
