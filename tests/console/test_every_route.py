"""Every route of the console, also those that come later: who is let in, and that only its own forms change things."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLResolver, get_resolver

from datastore.models import Item
from flows.models import Event, Execution
from flyte_site.auth import tokens
from flyte_site.changes import COMMAND_LINE, record
from flyte_site.models import Change, Token
from packs.models import Action, Pack
from tests.console.conftest import SignedOn
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

# Where people are that are not signed in.
OPEN = ("admin", "admin/", "admin/login/", "admin/logout/", "admin/sign-on/", "admin/sign-on/return/")
# Pages that show a thing, and forms that are everybody's own: a viewer may post to them, and nothing comes of it.
SHOWN = re.compile(r"(execution|event|pack|approval|flowversion|change)_change$|^password_change$")
CHANGES = re.compile(r"_(add|change|delete|enable|disable|restore|cancel|replay|retry|revoke|decide|password_change)$")
# A session is noted as used, whatever is looked at.
UNTOLD = ("Session",)


@pytest.fixture
def world() -> dict[str, Any]:
    """One of each thing, by the beginning of the paths that are about it; the longest that fits counts."""
    source = b.pack("Src")
    flow = b.save(b.step(id="a"))
    b.tell(source)
    tokens.create(COMMAND_LINE, "for-nobody", pack="Src")
    record(COMMAND_LINE, "saved", "flow", "flow")
    return {
        "admin/auth/user": User.objects.create_user("somebody").pk,
        "admin/auth/group": Group.objects.get(name="operator").pk,
        "admin/flyte_site/change": Change.objects.latest("pk").pk,
        "admin/flyte_site/token": Token.objects.get().pk,
        "admin/datastore/item": Item.objects.create(key="k", value=b"{}", content_type="application/json").pk,
        "admin/flows/flow": flow.pk,
        "admin/flows/flow/version": flow.version_id,
        "admin/flows/execution": Execution.objects.get().id,
        "admin/flows/event": Event.objects.get().pk,
        "admin/packs/pack": Pack.objects.get().pk,
        "admin/packs/approval": Action.objects.get().id,
        "admin": "auth",
    }


def routes(resolver: URLResolver, before: str = "") -> Iterator[tuple[str, str]]:
    """Each route below `resolver`, and its name."""
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from routes(one, route)
        else:
            yield route, one.name or ""


def console(world: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Each route of the console: as it is written, its name, and a path to it in this world."""
    found = []
    for route, name in routes(get_resolver()):
        if route.split("/")[0] == "admin" and "(?P<url>" not in route:
            about = world[max((start for start in world if route.startswith(start)), key=len)]
            path = re.sub(r"<(path:)?step_id>", "a", route)
            path = re.sub(r"\^?\(\?P<.*?\)|<[^>]*>", str(about), path).replace("$", "")
            found.append((route, name, f"/{path}"))
    assert len(found) > 60
    return found


def everything() -> dict[str, list[Any]]:
    models = [model for model in apps.get_models() if model.__name__ not in UNTOLD]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def test_who_is_not_signed_in_is_sent_to_the_front_door(world: dict[str, Any]) -> None:
    for route, _, path in console(world):
        for ask in (Client().get, Client().post):
            answer = ask(path)
            if route not in OPEN:
                assert (answer.status_code, "/admin/login/" in answer.headers.get("Location", "")) == (302, True), path


def test_no_form_is_taken_that_is_not_this_sites_own(world: dict[str, Any]) -> None:
    User.objects.create_superuser("root")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="root"))
    before = everything()
    for route, _, path in console(world):
        answer = client.post(path, {"post": "yes", "name": "x"})
        assert answer.status_code == 403 or route == "admin", path
    assert everything() == before


def test_looking_changes_nothing(world: dict[str, Any]) -> None:
    root = User.objects.create_superuser("root")
    client = Client()
    client.force_login(root)
    before = everything()
    for route, _, path in console(world):
        if route not in OPEN:
            assert client.get(path).status_code in (200, 302, 403, 404, 405), path
    assert everything() == before


@pytest.mark.parametrize("role", ["", "viewer"])
def test_who_may_not_change_anything_changes_nothing(world: dict[str, Any], signed_on: SignedOn, role: str) -> None:
    client = signed_on(role)
    before = everything()
    for route, name, path in console(world):
        if route in OPEN:
            continue
        answer = client.post(path, {"post": "yes", "name": "x", "text": "name: x", "expected": "", "answer": "approve"})
        if CHANGES.search(name) and not SHOWN.search(name):
            assert answer.status_code == 403, path
        assert answer.status_code < 500, path
    assert everything() == before


def test_the_same_forms_change_much_for_who_may_do_everything(world: dict[str, Any]) -> None:
    """So that what is said above is not said of forms that would do nothing for anybody."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    done = ("/disable/", "/enable/", "/cancel", "/restore/", "/revoke/", "/password/", "/delete/", "/delete")
    paths = {end: [path for _, _, path in console(world) if path.endswith(end)] for end in done}
    for end in done:
        before = everything()
        for path in paths[end]:
            client.post(path, {"post": "yes"})
        assert everything() != before, end
