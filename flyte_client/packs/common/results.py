"""How a command ends that calls another system: in the event for what was done, or in the one for its failure."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.common.rest_client import RestError

MAX_TEXT_LENGTH = 32_767


def run_command(
    success_event: str,
    failure_event: str,
    system: str,
    echoed: Mapping[str, Any],
    call: Callable[[], Mapping[str, Any] | None],
) -> Event:
    """The event with what was given, `told`, and what came of it; or with `error` and `temporary`.

    `do` raises `ValueError` for what can't be asked of the system, and `RestError` for what it did not do.
    """
    try:
        return Event(success_event, {**echoed, **(call() or {})})
    except ValueError as error:
        failure = {"error": str(error), "temporary": False}
    except RestError as error:
        failure = {"error": f"{system}: {error}", "temporary": error.temporary}
    return Event(failure_event, {**echoed, **failure})


def pick_fields(command_input: Any, *names: str) -> dict[str, Any]:
    """These fields of an input; empty where they are missing."""
    fields_by_name = command_input if isinstance(command_input, dict) else {}
    return {name: fields_by_name.get(name) or "" for name in names}


def require_text(fields: Mapping[str, Any], name: str) -> str:
    """Raises `ValueError` for what is no text, empty or too long."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT_LENGTH:
        raise ValueError(f"{name} must be a text that is not empty, of at most {MAX_TEXT_LENGTH} characters")
    return value
