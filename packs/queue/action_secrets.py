"""What of an action only the pack that takes it may see: kept beside it, encrypted."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from flyte_site.core.encryption import DecryptionError, decrypt, encrypt
from flyte_site.core.redaction.keys import MASK
from flyte_site.core.redaction.values import redact_values
from flyte_site.core.reencryption import ReencryptionCount, reencrypt_rows
from packs.models import Action

log = structlog.get_logger(__name__)

InputPath = list[str | int]
"""The keys and indexes that lead to a text in an input."""


@dataclass(frozen=True)
class ActionSecrets:
    """The secret texts of an action: in its input by their places, in its context by their names.

    `sources` are texts that they were drawn from, themselves among them.
    """

    input: list[tuple[InputPath, str]]
    context: dict[str, str]
    sources: list[str]


def encrypt_secrets(action_id: str, secrets: ActionSecrets) -> bytes:
    """The secrets as their action keeps them; another action's they can't be. Raises `NoKeysError`."""
    return encrypt(json.dumps({"id": action_id, **asdict(secrets)}, separators=(",", ":")).encode())


def decrypt_secrets(action: Action) -> ActionSecrets | None:
    """The secrets of an action; None where it has none. Raises `UnreadableError`."""
    if action.secrets is None:
        return None
    document = json.loads(decrypt(bytes(action.secrets)))
    if document["id"] != action.id:
        raise DecryptionError("it was encrypted for another action")
    return ActionSecrets([(path, text) for path, text in document["input"]], document["context"], document["sources"])


def unreadable_reason(action: Action) -> str:
    """What keeps the action's secrets from being read; '' if nothing does."""
    try:
        decrypt_secrets(action)
    except DecryptionError as error:
        return str(error)
    return ""


def input_with_secrets(action: Action) -> Any:
    """The input for the pack that has taken the action, secrets and all. Raises `UnreadableError`."""
    secrets = decrypt_secrets(action)
    return action.input if secrets is None else replace_texts(action.input, secrets.input)


def replace_texts(value: Any, texts: list[tuple[InputPath, str]]) -> Any:
    """A copy of a JSON value with other texts in some places."""
    root = {"": copy.deepcopy(value)}
    for path, text in texts:
        *parents, last_key = ["", *path]
        container: Any = root
        for key in parents:
            container = container[key]
        container[last_key] = text
    return root[""]


def redact_action_secrets(action: Action, value: Any) -> Any:
    """A JSON value that came back from an action's pack, with a mask where it repeats some of the action's secrets.

    Where these can't be read, all of it is masked.
    """
    if action.secrets is None:
        return value
    try:
        secrets = decrypt_secrets(action)
        return redact_values(value, secrets.sources) if secrets else value
    except DecryptionError as error:
        log.error("secrets_unreadable", action=action.id, reason=str(error))
        return None if value is None else MASK


def redact_action_secrets_by_id(action_id: str, value: Any) -> Any:
    """As `without_echo`, for an action that is not read yet. One query."""
    action = Action.objects.filter(id=action_id, secrets__isnull=False).only("id", "secrets").first()
    return redact_action_secrets(action, value) if action else value


def decrypt_context(action: Action) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The secret texts of an action's context, and what they were drawn from. Raises `UnreadableError`."""
    secrets = decrypt_secrets(action)
    return (secrets.context, tuple(secrets.sources)) if secrets else ({}, ())


def reencrypt_secrets(*, dry_run: bool) -> Iterator[ReencryptionCount]:
    """Encrypt the secrets of actions with the first key where another was used. Raises `NoKeysError`."""
    return reencrypt_rows(Action.objects.filter(secrets__isnull=False), "secrets", dry_run=dry_run)
