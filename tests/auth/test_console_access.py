"""Permissions of the console: every page with every role, and the page of the docs."""

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
# Statements of sessions and of the throttle, which belong to every request.
BOOKKEEPING = ("django_session", "axes_", "SAVEPOINT", "last_login")
WRITES = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True)
class Answer:
    """A response: its status, the target of its redirect, and a flag for changes in the database."""

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
    """Create a user for each role; return the session keys by role, with '' for signed-out visitors."""
    return {role: "" if role == STRANGER else sign_in(role) for role in EVERYBODY}


def sign_in(role: str) -> str:
    user = User.objects.create_user(role)
    if role in ROLES:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def request_page(client: Client, method: str, path: str, session: str) -> Answer:
    """Send a request, and roll back its changes."""
    client.cookies.clear()
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        answer = client.generic(method, path, content_type="application/x-www-form-urlencoded")
        transaction.set_rollback(True)
    assert answer.status_code < 500, (method, path)
    statements = [query["sql"] for query in queries.captured_queries]
    wrote = any(sql.startswith(WRITES) and not any(word in sql for word in BOOKKEEPING) for sql in statements)
    return Answer(answer.status_code, answer.headers.get("Location", ""), wrote)


def describe_roles(roles: list[str]) -> str:
    return WORDS.get(tuple(roles)) or ", ".join(roles)


def measure_access(client: Client, things: dict[str, Any], sessions: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return for each route the roles that may open it and the roles that may act on it, in the words of the docs.

    Routes that only redirect to other pages of the console, and those that refuse everybody, are left out.
    """
    rows = {}
    for route in console_routes():
        path = path_of(route, things)
        opened, acted = (
            {role: request_page(client, method, path, key) for role, key in sessions.items()}
            for method in ("GET", "POST")
        )
        opens = [role for role, answer in opened.items() if answer.is_page]
        acts = [role for role, answer in acted.items() if not answer.is_refused]
        assert not any(answer.wrote for answer in opened.values()), f"GET {path} changes something"
        if acts == opens and not any(answer.wrote for answer in acted.values()) and not FORMS.search(route):
            acts = []  # the response is the same page
        if opens or (acts and {*acts} <= {*ROLES}) or any(answer.is_page for answer in acted.values()):
            rows[re.sub(r"<(?:\w+:)?(\w+)>", r":\1", route)] = (describe_roles(opens), describe_roles(acts))
    return rows


# Forms that write only if they are filled in.
FORMS = re.compile(r"/(add|delete|password|password_change|login|logout)/$|>/change/$")


def test_the_access_page_has_the_roles_of_each_page_of_the_console(
    client: Client, things: dict[str, Any], sessions: dict[str, str]
) -> None:
    rows = {path: (opens, acts) for path, opens, acts in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert measure_access(client, things, sessions) == rows


def test_signed_out_visitors_are_redirected_to_the_sign_in_page_from_every_path(client: Client, db: None) -> None:
    for path in ("/admin/", "/admin/nope", "/admin/flows/flow/1/change/", "/admin/flows/flow/1/delete/"):
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
            assert request_page(client, method, path, "").leads_to.startswith("/admin/login/"), (method, path)
