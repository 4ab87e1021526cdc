"""Tests of a pack's commands without a server.

tester = PackTester(pack)
assert tester.command("Greet", {"name": "Ann"}) == Event("Greeted", {"text": "Hello Ann!"})
assert tester.sent == []
"""

import json
import threading
from typing import Any

from flyte_client.events import FATAL, Event
from flyte_client.handlers.action_context import CurrentAction
from flyte_client.handlers.commands import encode_or_fatal
from flyte_client.pack import Pack


class PackTester:
    """Caller of a pack's handlers; the pack's `send` appends to `sent` instead of using a server."""

    def __init__(self, pack: Pack) -> None:
        self.sent: list[Event] = []
        self._commands = pack.use_test_transport(self)

    def command(self, name: str, command_input: Any = None, *, cancelled: threading.Event | None = None) -> Event:
        """Run a command; return the event that a flow would get. Both pass through JSON: a tuple becomes a list.

        An invalid input and a handler that raises return the same event as in a running pack, usually `FATAL`. Use
        `cancelled` as the event of the handler's `current_action()`. Raises `LookupError` for an unknown command,
        `AssertionError` for an event that is not declared with its command.
        """
        declared_events = self._commands.list_events()
        if name not in declared_events:
            raise LookupError(f"command {name!r} not found; the pack has: {', '.join(declared_events)}")
        current = CurrentAction(name, cancelled or threading.Event())
        event = _decode_event(
            encode_or_fatal(self._commands.execute(current, json.loads(json.dumps(command_input))))[1]
        )
        if event.name not in (*declared_events[name], FATAL):
            declared = ", ".join(declared_events[name]) or "none"
            raise AssertionError(f"{name} returned the undeclared event {event.name}; declared: {declared}")
        return event

    def post_event(self, body: bytes, key: str, within: float | None = None) -> bool:
        """Record an event; called by the pack's `send`."""
        self.sent.append(_decode_event(body))
        return True


def _decode_event(body: bytes) -> Event:
    document = json.loads(body)
    return Event(document["event"], document["payload"])
