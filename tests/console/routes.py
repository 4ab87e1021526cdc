"""All routes of the console, and an object of each kind that they need."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from datastore.models import Item
from flows.models import Event, Execution
from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, log_activity
from flyte_site.models import Change, Token
from packs.models import Action, Approval, Pack
from tests.flows import builders as b


def console_routes() -> dict[str, str]:
    """Return the names of all routes by their pattern, without the catch-all route."""
    names = {f"/{route}": name for route, name in _routes(get_resolver(), "") if re.match("admin(/|$)", route)}
    assert len(names) > 60
    return {route: names[route] for route in sorted(names) if "(?P<url>" not in route}


def _routes(resolver: URLResolver, before: str) -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.name or ""


def one_of_each() -> dict[str, Any]:
    """Create an object of each kind; return their keys by the beginning of their paths."""
    source, _ = b.pack("Src"), b.pack("Wrk")
    flow = b.save(b.step(id="a"))
    b.tell(source)
    tokens.create_token(COMMAND_LINE_ACTOR, "for-nobody", pack="Src")
    log_activity(COMMAND_LINE_ACTOR, "saved", "flow", "flow")
    action = Action.objects.get()
    _ask_about(action)
    return {
        "/admin/auth/user": User.objects.create_user("somebody").pk,
        "/admin/auth/group": Group.objects.create(name="g").pk,
        "/admin/flyte_site/change": Change.objects.latest("pk").pk,
        "/admin/flyte_site/token": Token.objects.get().pk,
        "/admin/datastore/item": Item.objects.create(key="k", value=b"{}", content_type="application/json").pk,
        "/admin/flows/flow": flow.pk,
        "/admin/flows/flow/version": flow.version_id,
        "/admin/flows/execution": Execution.objects.get().id,
        "/admin/flows/event": Event.objects.get().pk,
        "/admin/packs/pack": Pack.objects.get(name="Src").pk,
        "/admin/packs/approval": action.id,
        "/admin/r": 1,
        "/admin": "auth",
    }


def _ask_about(action: Action) -> None:
    """Create an approval for an action."""
    now = timezone.now()
    Approval.objects.create(
        action_id=action.id, attempt=1, flow_name="f", correlation_id="b" * 24, question="?", asked_at=now,
        ends_at=now + timedelta(hours=1),
    )  # fmt: skip


def path_of(route: str, things: dict[str, Any]) -> str:
    """Return a path of this route to an existing object."""
    begins = max((start for start in things if f"{route}/".startswith(f"{start}/")), key=len)
    assert begins != "/admin" or "<app" in route or "<" not in route, f"{route} is about what `one_of_each` has none of"
    route = re.sub(r"<(path:)?step_id>", "a", route)
    return re.sub(r"\^?\(\?P<.*?\)|<[^>]*>", str(things[begins]), route).replace("$", "")
