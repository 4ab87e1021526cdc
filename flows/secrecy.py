"""Secrets on their way through a flow: drawn from the datastore, taken out of what is shown, kept from coming back."""

from collections.abc import Mapping
from dataclasses import replace

from datastore.lookup import find_value
from flows.lang import Secret, make_secret
from flows.steps import Event
from packs import sealed
from packs.models import Action


def read_datastore(key: str) -> object:
    """The datastore for templates. Raises `LookupError`."""
    found = find_value(key)
    return make_secret(found.value) if found.is_secret else found.value


def context_of(action: Action) -> Mapping[str, str | Secret]:
    """The context that an action's templates saw, with its secrets as such. Raises `UnreadableError`."""
    if action.secrets is None:
        return action.context  # type: ignore[no-any-return]
    texts, sources = sealed.secret_context(action)
    return {**action.context, **{name: Secret(text, sources) for name, text in texts.items()}}


def without_echo(action: Action, event: Event) -> Event:
    """The result of an action as it is kept and heard: what it repeats of the action's secrets is masked.

    Where they can't be read, nothing of the payload is kept.
    """
    return event if action.secrets is None else replace(event, payload=sealed.without_echo(action, event.payload))
