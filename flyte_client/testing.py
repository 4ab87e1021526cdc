"""Try a pack's commands in tests, without a server.

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
    """Calls handlers as a running pack does; from then on the pack's `send` reaches no server, but `sent`."""

    def __init__(self, pack: Pack) -> None:
        self.sent: list[Event] = []
        self._commands = pack.use_test_transport(self)

    def command(self, name: str, command_input: Any = None, *, cancelled: threading.Event | None = None) -> Event:
        """The event that a flow would get for this input, both as JSON has them: a tuple comes out as a list.

        An input that does not fit and a handler that raises give what they give in a running pack, mostly `FATAL`. With
        `cancelled` the handler's `current_action()` has that, set or to be set. Raises `LookupError` for a command that
        the pack does not have, `AssertionError` for an event that is not declared with its command.
        """
        declared_events = self._commands.list_events()
        if name not in declared_events:
            raise LookupError(f"the pack has no command {name!r}, only {', '.join(declared_events)}")
        current = CurrentAction(name, cancelled or threading.Event())
        event = _decode_event(
            encode_or_fatal(self._commands.execute(current, json.loads(json.dumps(command_input))))[1]
        )
        if event.name not in (*declared_events[name], FATAL):
            raise AssertionError(
                f"{name} ended in {event.name}, but declares {', '.join(declared_events[name]) or 'nothing'}"
            )
        return event

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None:
        """The pack's own `send` calls this."""
        self.sent.append(_decode_event(body))


def _decode_event(body: bytes) -> Event:
    document = json.loads(body)
    return Event(document["event"], document["payload"])
