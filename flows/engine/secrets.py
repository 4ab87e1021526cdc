"""Secrets on their way through a flow: drawn from the datastore, taken out of what is shown, kept from coming back."""

from collections.abc import Mapping
from dataclasses import replace

from datastore.lookup import find_value
from flows.engine.step import IncomingEvent
from flows.template import Secret, make_secret
from packs.models import Action
from packs.queue import action_secrets


def read_datastore(key: str) -> object:
    """The datastore for templates. Raises `LookupError`."""
    stored_value = find_value(key)
    return make_secret(stored_value.value) if stored_value.is_secret else stored_value.value


def decrypt_context(action: Action) -> Mapping[str, str | Secret]:
    """The context that an action's templates saw, with its secrets as such. Raises `UnreadableError`."""
    if action.secrets is None:
        return action.context  # type: ignore[no-any-return]
    texts, sources = action_secrets.decrypt_context(action)
    return {**action.context, **{name: Secret(text, sources) for name, text in texts.items()}}


def redact_result(action: Action, event: IncomingEvent) -> IncomingEvent:
    """The result of an action as it is kept and heard: what it repeats of the action's secrets is masked.

    Where they can't be read, nothing of the payload is kept.
    """
    return (
        event
        if action.secrets is None
        else replace(event, payload=action_secrets.redact_action_secrets(action, event.payload))
    )
