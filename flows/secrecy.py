"""Secrets on their way through a flow: drawn from the datastore, taken out of what is shown, kept from coming back."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from datastore.lookup import find
from flows.lang import Secret, secret_of
from flows.steps import Event
from flyte_site.echoes import without
from flyte_site.encryption import UnreadableError
from flyte_site.masking import MASK
from packs.models import Action
from packs.sealed import secret_context, unsealed

log = structlog.get_logger(__name__)


def read_datastore(key: str) -> object:
    """The datastore for templates. Raises `LookupError`."""
    found = find(key)
    return secret_of(found.value) if found.secret else found.value


def context_of(action: Action) -> Mapping[str, str | Secret]:
    """The context that an action's templates saw, with its secrets as such. Raises `UnreadableError`."""
    if action.secrets is None:
        return action.context  # type: ignore[no-any-return]
    texts, sources = secret_context(action)
    return {**action.context, **{name: Secret(text, sources) for name, text in texts.items()}}


def without_echo(action: Action, event: Event) -> Event:
    """The result of an action as it is kept and heard: what it repeats of the action's secrets is masked.

    Where they can't be read, nothing of the payload is kept.
    """
    if action.secrets is None:
        return event
    try:
        secrets = unsealed(action)
        payload = without(event.payload, secrets.sources) if secrets else event.payload
    except UnreadableError as error:
        log.error("secrets_unreadable", action=action.id, reason=str(error))
        payload = None if event.payload is None else MASK
    return replace(event, payload=payload)
