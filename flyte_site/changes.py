"""Who changed what, whichever door they came by."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from flyte_site.auth.callers import HasMeta, caller_of
from flyte_site.models import Change
from flyte_site.slices import delete_in_slices

CONSOLE, API, COMMAND, JOB = "console", "api", "command", "job"
MAX_DETAIL = 4000


@dataclass(frozen=True)
class Actor:
    """Who does something, and by which door: `console`, `api`, `command` or `job`."""

    name: str
    via: str


COMMAND_LINE = Actor("manage.py", COMMAND)
SERVER = Actor("the server", JOB)


def record(actor: Actor, what: str, kind: str, key: str, **detail: Any) -> None:
    """Note that the actor did `what` (such as `saved`) to the thing of this kind and key.

    Kinds and their keys: `flow` (name), `execution` (correlation id), `pack` (id), `approval` (id of the action that
    asks), `datastore item` (key), `person` and `role` (name). Called in the transaction that makes the change, where
    there is one. `detail` is small JSON, never a secret value; what is too large is left out, and said so.
    """
    if len(json.dumps(detail, default=str)) > MAX_DETAIL:
        detail = {"note": "too large to be kept"}
    Change.objects.create(actor=actor.name[:255], via=actor.via, kind=kind, key=key[:512], what=what, detail=detail)


def caller(request: HasMeta) -> Actor:
    """Who calls the API."""
    return Actor(caller_of(request).actor, API)


def person(request: HttpRequest) -> Actor:
    """Who is signed in at the console."""
    return Actor(request.user.get_username(), CONSOLE)


def forget_changes(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete changes FLYTE_TTL_IN_SECONDS after they were made, slice by slice; the number of them."""
    before = (now or timezone.now()) - timedelta(seconds=settings.FLYTE_TTL_IN_SECONDS)
    old = Change.objects.filter(at__lte=before).order_by("at")
    return old.count() if dry_run else delete_in_slices(old)
