"""Who may do what at the console: every page with everybody, and the page of the docs that says so."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.console.routes import console_routes, one_of_each, path_of
from tests.server import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGE = ROOT / "docs/reference/access.md"
ROLES = ("viewer", "editor", "operator", "admin")
STRANGER, NO_ROLE = "signed-out visitors", "users without a role"
EVERYBODY = (STRANGER, NO_ROLE, *ROLES)
WORDS = {
    (): "–",
    ROLES: "every role",
    (NO_ROLE, *ROLES): "signed-in users",
    EVERYBODY: "everyone",
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


@pytest.fixture
def things(db: None) -> dict[str, Any]:
    return one_of_each()


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
