"""How a command ends that calls another system: in the event for what was done, or in the one for its failure."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.basis.rest import RestError

LONGEST_TEXT = 32_767


def outcome(
    done: str, failed: str, system: str, told: Mapping[str, Any], do: Callable[[], Mapping[str, Any] | None]
) -> Event:
    """The event with what was given, `told`, and what came of it; or with `error` and `temporary`.

    `do` raises `ValueError` for what can't be asked of the system, and `RestError` for what it did not do.
    """
    try:
        return Event(done, {**told, **(do() or {})})
    except ValueError as error:
        words = {"error": str(error), "temporary": False}
    except RestError as error:
        words = {"error": f"{system}: {error}", "temporary": error.temporary}
    return Event(failed, {**told, **words})


def given(fields: Any, *names: str) -> dict[str, Any]:
    """These fields of an input; empty where they are missing."""
    known = fields if isinstance(fields, dict) else {}
    return {name: known.get(name) or "" for name in names}


def text(fields: Mapping[str, Any], name: str) -> str:
    """Raises `ValueError` for what is no text, empty or too long."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} must be a text that is not empty, of at most {LONGEST_TEXT} characters")
    return value
