"""Who changed what, whichever door they came by."""

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from flyte_site.models import Change

CONSOLE, API, COMMAND = "console", "api", "command"
MAX_DETAIL = 4000


@dataclass(frozen=True)
class Actor:
    """Who does something, and by which door: `console`, `api` or `command`."""

    name: str
    via: str


COMMAND_LINE = Actor("manage.py", COMMAND)


def record(actor: Actor, what: str, kind: str, key: str, **detail: Any) -> None:
    """Note that the actor did `what` (such as `saved`) to the thing of this kind and key.

    `detail` is small JSON, never a secret value; what is too large is left out, and said so.
    """
    if len(json.dumps(detail, default=str)) > MAX_DETAIL:
        detail = {"note": "too large to be kept"}
    Change.objects.create(actor=actor.name[:255], via=actor.via, kind=kind, key=key[:512], what=what, detail=detail)


def person(request: HttpRequest) -> Actor:
    """Who is signed in at the console."""
    return Actor(request.user.get_username(), CONSOLE)


def caller(request: HttpRequest) -> Actor:
    """Who calls the API."""
    return Actor("anonymous", API)
