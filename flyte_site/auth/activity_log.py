"""The activity log: changes made in the console, over the API, by commands and by the server itself."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from flyte_site.auth.principals import HasMeta, get_principal
from flyte_site.db.batch_deletion import delete_in_batches
from flyte_site.models import Change

VIA_CONSOLE, VIA_API, VIA_COMMAND, VIA_JOB = "console", "api", "command", "job"
MAX_DETAIL_LENGTH = 4000
USER_KIND = "person"
"""The kind of users in stored entries; the console shows it as `user`."""


def label_kind(kind: str) -> str:
    """Return the console's word for the kind of an object."""
    return "user" if kind == USER_KIND else kind


@dataclass(frozen=True)
class Actor:
    """The author of a change. `via` is `console`, `api`, `command` or `job`."""

    name: str
    via: str


COMMAND_LINE_ACTOR = Actor("manage.py", VIA_COMMAND)
SERVER_ACTOR = Actor("the server", VIA_JOB)


def log_activity(actor: Actor, action: str, kind: str, key: str, **detail: Any) -> None:
    """Record that the actor performed `action` (such as `saved`) on the object of this kind and key.

    Kinds and their keys: `flow` (name), `execution` (correlation id), `pack` (id), `approval` (id of the action that
    asks), `datastore item` (key), USER_KIND (username) and `role` (name). Call it in the transaction that makes the
    change, if there is one. `detail` is small JSON without secret values; if it is too large, a note replaces it.
    """
    if len(json.dumps(detail, default=str)) > MAX_DETAIL_LENGTH:
        detail = {"note": "details were too large to record"}
    Change.objects.create(actor=actor.name[:255], via=actor.via, kind=kind, key=key[:512], what=action, detail=detail)


def actor_of_caller(request: HasMeta) -> Actor:
    """Return the caller of the API as an actor."""
    return Actor(get_principal(request).actor_name, VIA_API)


def actor_of_user(request: HttpRequest) -> Actor:
    """Return the signed-in user of the console as an actor."""
    return Actor(request.user.get_username(), VIA_CONSOLE)


def prune_activity_log(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete entries FLYTE_TTL_IN_SECONDS after they were made, batch by batch; return how many."""
    cutoff = (now or timezone.now()) - timedelta(seconds=settings.FLYTE_TTL_IN_SECONDS)
    expired = Change.objects.filter(at__lte=cutoff).order_by("at")
    return expired.count() if dry_run else delete_in_batches(expired)
