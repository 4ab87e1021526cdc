"""Secret texts of an action, which only the pack that takes it can read: stored in the action, encrypted."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from flyte_site.core.secrets.encryption import DecryptionError, decrypt, encrypt
from flyte_site.core.secrets.redaction import MASK, redact_values
from flyte_site.core.secrets.reencryption import ReencryptionCount, reencrypt_rows
from packs.models import Action

log = structlog.get_logger(__name__)

InputPath = list[str | int]
"""The keys and indexes that lead to a text in an input."""


@dataclass(frozen=True)
class ActionSecrets:
    """The secret texts of an action: those of its input by path, those of its context by name.

    `sources` are the secret values that the texts were made from; a text that is itself such a value is among them.
    """

    input: list[tuple[InputPath, str]]
    context: dict[str, str]
    sources: list[str]


def encrypt_secrets(action_id: str, secrets: ActionSecrets) -> bytes:
    """Encrypt the secrets, bound to their action. Raise `NoKeysError` if the server has no keys."""
    return encrypt(json.dumps({"id": action_id, **asdict(secrets)}, separators=(",", ":")).encode())


def decrypt_secrets(action: Action) -> ActionSecrets | None:
    """Decrypt the secrets of an action; None if it has none. Raise `DecryptionError` if they can't be read."""
    if action.secrets is None:
        return None
    document = json.loads(decrypt(bytes(action.secrets)))
    if document["id"] != action.id:
        raise DecryptionError("encrypted for a different action")
    return ActionSecrets([(path, text) for path, text in document["input"]], document["context"], document["sources"])


def unreadable_reason(action: Action) -> str:
    """Return the reason why the action's secrets can't be read; '' if they can."""
    try:
        decrypt_secrets(action)
    except DecryptionError as error:
        return str(error)
    return ""


def input_with_secrets(action: Action) -> Any:
    """Build the input for the pack that has taken the action, secrets included. Raise `DecryptionError`."""
    secrets = decrypt_secrets(action)
    return action.input if secrets is None else replace_texts(action.input, secrets.input)


def replace_texts(value: Any, texts: list[tuple[InputPath, str]]) -> Any:
    """Copy a JSON value, with the texts at some paths replaced."""
    root = {"": copy.deepcopy(value)}
    for path, text in texts:
        *parents, last_key = ["", *path]
        container: Any = root
        for key in parents:
            container = container[key]
        container[last_key] = text
    return root[""]


def redact_action_secrets(action: Action, value: Any) -> Any:
    """Mask the action's secrets in a JSON value that its pack sent. If they can't be read, mask the whole value."""
    if action.secrets is None:
        return value
    try:
        secrets = decrypt_secrets(action)
        return redact_values(value, secrets.sources) if secrets else value
    except DecryptionError as error:
        log.error("secrets_unreadable", action=action.id, reason=str(error))
        return None if value is None else MASK


def redact_action_secrets_by_id(action_id: str, value: Any) -> Any:
    """Do the same as `redact_action_secrets` for an action that is not loaded yet, in one query."""
    action = Action.objects.filter(id=action_id, secrets__isnull=False).only("id", "secrets").first()
    return redact_action_secrets(action, value) if action else value


def decrypt_context(action: Action) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Decrypt the secret texts of an action's context, by name, and their sources. Raise `DecryptionError`."""
    secrets = decrypt_secrets(action)
    return (secrets.context, tuple(secrets.sources)) if secrets else ({}, ())


def reencrypt_secrets(*, dry_run: bool) -> Iterator[ReencryptionCount]:
    """Encrypt the secrets of actions again if they use an older key than the first. Raise `NoKeysError`."""
    return reencrypt_rows(Action.objects.filter(secrets__isnull=False), "secrets", dry_run=dry_run)
