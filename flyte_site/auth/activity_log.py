"""Who changed what, whichever door they came by."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from flyte_site.auth.principals import HasMeta, get_principal
from flyte_site.db.batches import delete_in_batches
from flyte_site.models import Change

VIA_CONSOLE, VIA_API, VIA_COMMAND, VIA_JOB = "console", "api", "command", "job"
MAX_DETAIL_LENGTH = 4000


@dataclass(frozen=True)
class Actor:
    """Who does something, and by which door: `console`, `api`, `command` or `job`."""

    name: str
    via: str


COMMAND_LINE_ACTOR = Actor("manage.py", VIA_COMMAND)
SERVER_ACTOR = Actor("the server", VIA_JOB)


def log_activity(actor: Actor, action: str, kind: str, key: str, **detail: Any) -> None:
    """Note that the actor did `what` (such as `saved`) to the thing of this kind and key.

    Kinds and their keys: `flow` (name), `execution` (correlation id), `pack` (id), `approval` (id of the action that
    asks), `datastore item` (key), `person` and `role` (name). Called in the transaction that makes the change, where
    there is one. `detail` is small JSON, never a secret value; what is too large is left out, and said so.
    """
    if len(json.dumps(detail, default=str)) > MAX_DETAIL_LENGTH:
        detail = {"note": "too large to be kept"}
    Change.objects.create(actor=actor.name[:255], via=actor.via, kind=kind, key=key[:512], what=action, detail=detail)


def actor_of_caller(request: HasMeta) -> Actor:
    """Who calls the API."""
    return Actor(get_principal(request).actor_name, VIA_API)


def actor_of_user(request: HttpRequest) -> Actor:
    """Who is signed in at the console."""
    return Actor(request.user.get_username(), VIA_CONSOLE)


def prune_activity_log(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete changes FLYTE_TTL_IN_SECONDS after they were made, slice by slice; the number of them."""
    cutoff = (now or timezone.now()) - timedelta(seconds=settings.FLYTE_TTL_IN_SECONDS)
    expired = Change.objects.filter(at__lte=cutoff).order_by("at")
    return expired.count() if dry_run else delete_in_batches(expired)
