"""The commands that a pack has declared, and what comes of calling one: an event, whatever happens."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flyte_client.current import CurrentAction, working_on
from flyte_client.event_loop import EventLoop
from flyte_client.events import Event, encoded, fatal, fatal_from
from flyte_client.inputs import InputError, input_reader

Handler = Callable[..., Event | Awaitable[Event]]
"""Called with the action's input alone."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Command:
    """`events` are what it may end in, `bad_input` among them where it has one: the event for an unfit input."""

    name: str
    events: tuple[str, ...]
    bad_input: str | None
    handler: Handler
    read: Callable[[Any], Any]


class Commands:
    """All commands of one pack."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._loop = EventLoop()

    def __bool__(self) -> bool:
        return bool(self._commands)

    def declare(self, name: str, handler: Handler, events: Iterable[str], bad_input: str | None) -> None:
        """Raises `ValueError` for a name that is taken, `TypeError` for a handler whose input can't be read so."""
        self.check_new(name)
        ends = tuple(dict.fromkeys([*events, *([bad_input] if bad_input else [])]))
        self._commands[name] = Command(name, ends, bad_input, handler, input_reader(handler))

    def check_new(self, name: str) -> None:
        if name in self._commands:
            raise ValueError(f"command {name} has a handler already")

    def events(self) -> dict[str, list[str]]:
        """What each command may end in, by its name."""
        return {name: list(command.events) for name, command in self._commands.items()}

    def outcome(self, current: CurrentAction, given: Any) -> Event:
        """Call the handler; `FATAL` is what becomes of its failure, and of a command that is not there."""
        command = self._commands.get(current.command)
        if command is None:
            return fatal(f"this pack has no command {current.command!r}")
        try:
            with working_on(current):
                return self._called(command, current, given)
        except InputError as error:
            logger.warning("input_refused command=%s reason=%r", command.name, str(error))
            return _bad_input(command, error)
        except (Exception, SystemExit) as error:  # a handler that calls sys.exit ends its action, not the pack
            logger.exception("handler_failed command=%s", command.name)
            return fatal_from(error)

    def stop(self) -> None:
        """Called when no handler runs any more."""
        self._loop.stop()

    def _called(self, command: Command, current: CurrentAction, given: Any) -> Event:
        event = command.handler(command.read(given))
        if inspect.isawaitable(event):
            event = self._loop.finish(event, current)
        if not isinstance(event, Event):
            raise TypeError(f"the handler of {command.name} gave {type(event).__name__} instead of an Event")
        return event


def _bad_input(command: Command, error: InputError) -> Event:
    if command.bad_input is None:
        return fatal(f"the input of {command.name} is unfit: {error}")
    faults = [{"path": fault.path, "message": fault.message} for fault in error.faults]
    return Event(command.bad_input, {"error": str(error), "errors": faults})


def encodable(event: Event) -> tuple[Event, bytes]:
    """The event as the server takes it; one that JSON can't hold becomes `FATAL`."""
    try:
        return event, encoded(event)
    except (ValueError, TypeError, RecursionError) as error:
        logger.exception("result_unfit event=%s", event.name)
        replacement = fatal_from(error)
        return replacement, encoded(replacement)
