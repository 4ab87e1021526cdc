"""What of an action only the pack that takes it may see: kept beside it, encrypted."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from flyte_site.encryption import UnreadableError, decrypt, encrypt
from packs.models import Action

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


def secret_context(action: Action) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The secret texts of an action's context, and what they were drawn from. Raises `UnreadableError`."""
    secrets = unsealed(action)
    return (secrets.context, tuple(secrets.sources)) if secrets else ({}, ())
