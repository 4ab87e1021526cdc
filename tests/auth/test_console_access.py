"""Who may do what at the console: every page with everybody, and the page of the docs that says so."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from datastore.models import Item
from flows.models import Event, Execution
from flyte_site.auth import tokens
from flyte_site.changes import COMMAND_LINE
from flyte_site.models import Change
from packs.models import Approval
from tests.flows import builders as b
from tests.server import ROOT
from tests.site.shape import put_value

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGE = ROOT / "docs/reference/access.md"
ROLES = ("viewer", "editor", "operator", "admin")
STRANGER, NO_ROLE = "who is not signed in", "somebody without a role"
EVERYBODY = (STRANGER, NO_ROLE, *ROLES)
WORDS = {
    (): "–",
    ROLES: "every role",
    (NO_ROLE, *ROLES): "who is signed in",
    EVERYBODY: "everybody",
}
ROW = re.compile(r"^\| `(/admin\S*)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
# What a session or the throttle notes of every request.
BOOKKEEPING = ("django_session", "axes_", "SAVEPOINT", "last_login")
WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Answer:
    """What somebody got: the status, where it leads to, and whether it changed anything."""

    status: int
    leads_to: str
    wrote: bool

    @property
    def is_refused(self) -> bool:
        return self.status in (401, 403, 404, 405) or self.leads_to.startswith("/admin/login/")

    @property
    def is_page(self) -> bool:
        return not self.is_refused and not (self.leads_to.startswith("/admin/") and not self.wrote)


def console_routes() -> list[str]:
    """Every route of the console, but for the one that catches what has none."""
    found = {f"/{route}" for route in _routes(get_resolver(), "") if re.match("admin(/|$)", route)}
    return sorted(route for route in found if "(?P<" not in route)


def _routes(resolver: URLResolver, before: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route


@pytest.fixture
def things(client: Client) -> dict[str, Any]:
    """One of each, by where its pages are."""
    source, _ = b.pack("Src"), b.pack("Wrk")
    flow = b.save(b.step(id="a"))
    b.tell(source)
    put_value(client, "k", b"v")
    token, _ = tokens.create(COMMAND_LINE, "t", scopes=["flows:read"])
    return {
        "auth/user": User.objects.create_user("other").pk,
        "auth/group": Group.objects.create(name="g").pk,
        "flyte_site/token": token.pk,
        "flyte_site/change": Change.objects.latest("pk").pk,
        "datastore/item": Item.objects.get().pk,
        "flows/flow": flow.pk,
        "flows/flow/version": flow.version_id,
        "flows/execution": Execution.objects.get().id,
        "flows/event": Event.objects.get().id,
        "packs/pack": source.pk,
        "packs/approval": asked_for("a" * 24).action_id,
    }


def asked_for(action_id: str) -> Approval:
    """A question to a person."""
    now = timezone.now()
    return Approval.objects.create(
        action_id=action_id, attempt=1, flow_name="f", correlation_id="b" * 24, question="?", asked_at=now,
        ends_at=now + timedelta(hours=1),
    )  # fmt: skip


@pytest.fixture
def sessions(db: None) -> dict[str, str]:
    """Who is asked for, with their session's key; '' is none."""
    return {who: "" if who == STRANGER else signed_on(who) for who in EVERYBODY}


def signed_on(who: str) -> str:
    user = User.objects.create_user(who)
    if who in ROLES:
        user.groups.add(Group.objects.get(name=who))
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def path_of(route: str, things: dict[str, Any]) -> str:
    """A path of this route, to something that is there."""
    if "<" not in route:
        return route
    places = [place for place in things if route.startswith(f"/admin/{place}/")]
    assert places or route.startswith("/admin/r/"), f"{route} is about what this test has none of: add one to `things`"
    one = things[max(places, key=len)] if places else "1"
    return re.sub("<[^>]+>", str(one), route.replace("<path:step_id>", "a"))


def asked(client: Client, method: str, path: str, session: str) -> Answer:
    """Asks, and takes back whatever it did."""
    client.cookies.clear()
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        answer = client.generic(method, path, content_type="application/x-www-form-urlencoded")
        transaction.set_rollback(True)
    assert answer.status_code < 500, (method, path)
    statements = [one["sql"] for one in queries.captured_queries]
    wrote = any(one.startswith(WRITES) and not any(word in one for word in BOOKKEEPING) for one in statements)
    return Answer(answer.status_code, answer.headers.get("Location", ""), wrote)


def told(who: list[str]) -> str:
    return WORDS.get(tuple(who)) or ", ".join(who)


def measured(client: Client, things: dict[str, Any], sessions: dict[str, str]) -> dict[str, tuple[str, str]]:
    """For each route who may open it, and who may act there, as the docs say it. Routes that only lead to other pages
    of the console, and those that refuse everybody, are left out."""
    found = {}
    for route in console_routes():
        path = path_of(route, things)
        opened, acted = (
            {who: asked(client, method, path, key) for who, key in sessions.items()} for method in ("GET", "POST")
        )
        opens = [who for who, answer in opened.items() if answer.is_page]
        acts = [who for who, answer in acted.items() if not answer.is_refused]
        assert not any(answer.wrote for answer in opened.values()), f"GET {path} changes something"
        if acts == opens and not any(answer.wrote for answer in acted.values()) and not FORMS.search(route):
            acts = []  # the page again
        if opens or (acts and {*acts} <= {*ROLES}) or any(answer.is_page for answer in acted.values()):
            found[re.sub(r"<(?:\w+:)?(\w+)>", r":\1", route)] = (told(opens), told(acts))
    return found


# Forms that write only where they are filled in.
FORMS = re.compile(r"/(add|delete|password|password_change|login|logout)/$|>/change/$")


def test_the_page_says_who_may_open_each_page_of_the_console_and_who_may_act_there(
    client: Client, things: dict[str, Any], sessions: dict[str, str]
) -> None:
    rows = {path: (opens, acts) for path, opens, acts in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert measured(client, things, sessions) == rows


def test_who_is_not_signed_in_is_asked_to_whatever_the_path(client: Client, db: None) -> None:
    for path in ("/admin/", "/admin/nope", "/admin/flows/flow/1/change/", "/admin/flows/flow/1/delete/"):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            assert asked(client, method, path, "").leads_to.startswith("/admin/login/"), (method, path)
