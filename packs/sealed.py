"""What of an action only the pack that takes it may see: kept beside it, encrypted."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from flyte_site.echoes import without
from flyte_site.encryption import UnreadableError, decrypt, encrypt
from flyte_site.masking import MASK
from packs.models import Action

log = structlog.get_logger(__name__)

Place = list[str | int]
"""The keys and indexes that lead to a text in an input."""


@dataclass(frozen=True)
class Secrets:
    """The secret texts of an action: in its input by their places, in its context by their names.

    `sources` are texts that they were drawn from, themselves among them.
    """

    input: list[tuple[Place, str]]
    context: dict[str, str]
    sources: list[str]


def seal(action_id: str, secrets: Secrets) -> bytes:
    """The secrets as their action keeps them; another action's they can't be. Raises `NoKeysError`."""
    return encrypt(json.dumps({"id": action_id, **asdict(secrets)}, separators=(",", ":")).encode())


def unsealed(action: Action) -> Secrets | None:
    """The secrets of an action; None where it has none. Raises `UnreadableError`."""
    if action.secrets is None:
        return None
    found = json.loads(decrypt(bytes(action.secrets)))
    if found["id"] != action.id:
        raise UnreadableError("it was encrypted for another action")
    return Secrets([(place, text) for place, text in found["input"]], found["context"], found["sources"])


def fault(action: Action) -> str:
    """What keeps the action's secrets from being read; '' if nothing does."""
    try:
        unsealed(action)
    except UnreadableError as error:
        return str(error)
    return ""


def whole_input(action: Action) -> Any:
    """The input for the pack that has taken the action, secrets and all. Raises `UnreadableError`."""
    secrets = unsealed(action)
    return action.input if secrets is None else with_texts(action.input, secrets.input)


def with_texts(value: Any, texts: list[tuple[Place, str]]) -> Any:
    """A copy of a JSON value with other texts in some places."""
    whole = {"": copy.deepcopy(value)}
    for place, text in texts:
        *way, last = ["", *place]
        inner: Any = whole
        for key in way:
            inner = inner[key]
        inner[last] = text
    return whole[""]


def without_echo(action: Action, value: Any) -> Any:
    """A JSON value that came back from an action's pack, with a mask where it repeats some of the action's secrets.

    Where these can't be read, all of it is masked.
    """
    if action.secrets is None:
        return value
    try:
        secrets = unsealed(action)
        return without(value, secrets.sources) if secrets else value
    except UnreadableError as error:
        log.error("secrets_unreadable", action=action.id, reason=str(error))
        return None if value is None else MASK


def without_echo_of(action_id: str, value: Any) -> Any:
    """As `without_echo`, for an action that is not read yet. One query."""
    action = Action.objects.filter(id=action_id, secrets__isnull=False).only("id", "secrets").first()
    return without_echo(action, value) if action else value


def secret_context(action: Action) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The secret texts of an action's context, and what they were drawn from. Raises `UnreadableError`."""
    secrets = unsealed(action)
    return (secrets.context, tuple(secrets.sources)) if secrets else ({}, ())
