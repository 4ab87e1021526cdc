"""The commands that a pack has declared, and what comes of calling one: an event, whatever happens."""

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
"""Called with the action's input alone."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CommandSpec:
    """`events` are what it may end in, `bad_input` among them where it has one: the event for an unfit input."""

    name: str
    events: tuple[str, ...]
    bad_input: str | None
    handler: CommandHandler
    bind_input: Callable[[Any], Any]


class CommandRegistry:
    """All commands of one pack."""

    def __init__(self) -> None:
        self._specs: dict[str, CommandSpec] = {}
        self._async_runner = AsyncRunner()

    def __bool__(self) -> bool:
        return bool(self._specs)

    def declare(self, name: str, handler: CommandHandler, events: Iterable[str], bad_input: str | None) -> None:
        """Raises `ValueError` for a name that is taken, `TypeError` for a handler whose input can't be read so."""
        self.check_unused_name(name)
        all_events = tuple(dict.fromkeys([*events, *([bad_input] if bad_input else [])]))
        self._specs[name] = CommandSpec(name, all_events, bad_input, handler, build_input_binder(handler))

    def check_unused_name(self, name: str) -> None:
        if name in self._specs:
            raise ValueError(f"command {name} has a handler already")

    def list_events(self) -> dict[str, list[str]]:
        """What each command may end in, by its name."""
        return {name: list(command.events) for name, command in self._specs.items()}

    def execute(self, current: CurrentAction, input_value: Any) -> Event:
        """Call the handler; `FATAL` is what becomes of its failure, and of a command that is not there."""
        command = self._specs.get(current.command)
        if command is None:
            return fatal_event(f"this pack has no command {current.command!r}")
        try:
            with use_current_action(current):
                return self._call_handler(command, current, input_value)
        except InputError as error:
            logger.warning("input_refused command=%s reason=%r", command.name, str(error))
            return _bad_input_event(command, error)
        except (Exception, SystemExit) as error:  # a handler that calls sys.exit ends its action, not the pack
            logger.exception("handler_failed command=%s", command.name)
            return fatal_event_from(error)

    def stop(self) -> None:
        """Called when no handler runs any more."""
        self._async_runner.stop()

    def _call_handler(self, command: CommandSpec, current: CurrentAction, input_value: Any) -> Event:
        event = command.handler(command.bind_input(input_value))
        if inspect.isawaitable(event):
            event = self._async_runner.run(event, current)
        if not isinstance(event, Event):
            raise TypeError(f"the handler of {command.name} gave {type(event).__name__} instead of an Event")
        return event


def _bad_input_event(command: CommandSpec, error: InputError) -> Event:
    if command.bad_input is None:
        return fatal_event(f"the input of {command.name} is unfit: {error}")
    errors = [{"path": field_error.path, "message": field_error.message} for field_error in error.errors]
    return Event(command.bad_input, {"error": str(error), "errors": errors})


def encode_or_fatal(event: Event) -> tuple[Event, bytes]:
    """The event as the server takes it; one that JSON can't hold becomes `FATAL`."""
    try:
        return event, encode_event(event)
    except (ValueError, TypeError, RecursionError) as error:
        logger.exception("result_unfit event=%s", event.name)
        replacement = fatal_event_from(error)
        return replacement, encode_event(replacement)
