"""The commands that a pack declares, and their execution, which always returns an event."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flyte_client.events import Event, encode_event, fatal_event, fatal_event_from
from flyte_client.handlers.action_context import CurrentAction, use_current_action
from flyte_client.handlers.async_runner import AsyncRunner
from flyte_client.handlers.input_binding import InputError, build_input_binder

CommandHandler = Callable[..., Event | Awaitable[Event]]
"""Function that is called with the action's input and returns an event."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CommandSpec:
    """A declared command; `events` are its possible results, including `bad_input`, the event for an invalid input."""

    name: str
    events: tuple[str, ...]
    bad_input: str | None
    handler: CommandHandler
    bind_input: Callable[[Any], Any]


class CommandRegistry:
    """The commands of one pack."""

    def __init__(self) -> None:
        self._specs: dict[str, CommandSpec] = {}
        self._async_runner = AsyncRunner()

    def __bool__(self) -> bool:
        return bool(self._specs)

    def declare(self, name: str, handler: CommandHandler, events: Iterable[str], bad_input: str | None) -> None:
        """Add a command. Raises `ValueError` for a duplicate name, `TypeError` for an unsupported annotation."""
        self.check_unused_name(name)
        all_events = tuple(dict.fromkeys([*events, *([bad_input] if bad_input else [])]))
        self._specs[name] = CommandSpec(name, all_events, bad_input, handler, build_input_binder(handler))

    def check_unused_name(self, name: str) -> None:
        if name in self._specs:
            raise ValueError(f"duplicate command {name}: it already has a handler")

    def list_events(self) -> dict[str, list[str]]:
        """Return the possible result events of each command by name."""
        return {name: list(command.events) for name, command in self._specs.items()}

    def execute(self, current: CurrentAction, input_value: Any) -> Event:
        """Call the handler; return `FATAL` if it fails or the command is unknown."""
        command = self._specs.get(current.command)
        if command is None:
            return fatal_event(f"unknown command {current.command!r}")
        try:
            with use_current_action(current):
                return self._call_handler(command, current, input_value)
        except InputError as error:
            logger.warning("input_refused command=%s reason=%r", command.name, str(error))
            return _bad_input_event(command, error)
        except (Exception, SystemExit) as error:  # sys.exit in a handler ends its action, not the pack
            logger.exception("handler_failed command=%s", command.name)
            return fatal_event_from(error)

    def stop(self) -> None:
        """Stop the event loop. Call this after the last handler has returned."""
        self._async_runner.stop()

    def _call_handler(self, command: CommandSpec, current: CurrentAction, input_value: Any) -> Event:
        event = command.handler(command.bind_input(input_value))
        if inspect.isawaitable(event):
            event = self._async_runner.run(event, current)
        if not isinstance(event, Event):
            raise TypeError(f"the handler of {command.name} returned {type(event).__name__}, expected an Event")
        return event


def _bad_input_event(command: CommandSpec, error: InputError) -> Event:
    if command.bad_input is None:
        return fatal_event(f"invalid input of {command.name}: {error}")
    errors = [{"path": field_error.path, "message": field_error.message} for field_error in error.errors]
    return Event(command.bad_input, {"error": str(error), "errors": errors})


def encode_or_fatal(event: Event) -> tuple[Event, bytes]:
    """Encode the event for the server; replace it by `FATAL` if it is not JSON-serializable."""
    try:
        return event, encode_event(event)
    except (ValueError, TypeError) as error:
        logger.exception("result_unfit event=%s", event.name)
        replacement = fatal_event_from(error)
        return replacement, encode_event(replacement)
