"""Every route of the console, also those that come later: only its own forms change things, and not for everybody.

Who may open which page and act there is told, and measured, in `tests/auth/test_console_access.py`.
"""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client

from tests.console.conftest import SignedOn
from tests.console.routes import console_routes, one_of_each, path_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

# Where people are that are not signed in.
OPEN = ("/admin", "/admin/", "/admin/login/", "/admin/logout/", "/admin/sign-on/", "/admin/sign-on/return/")
# Pages that show a thing, and forms that are everybody's own: a viewer may post to them, and nothing comes of it.
SHOWN = re.compile(r"(execution|event|pack|approval|flowversion|change)_change$|^password_change$")
CHANGES = re.compile(r"_(add|change|delete|enable|disable|restore|cancel|replay|retry|revoke|decide|password_change)$")
# A session is noted as used, whatever is looked at.
UNTOLD = ("Session",)


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    return one_of_each()


def console(world: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Each route of the console: as it is written, its name, and a path to it in this world."""
    return [(route, name, path_of(route, world)) for route, name in console_routes().items()]


def everything() -> dict[str, list[Any]]:
    models = [model for model in apps.get_models() if model.__name__ not in UNTOLD]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def test_no_form_is_taken_that_is_not_this_sites_own(world: dict[str, Any]) -> None:
    User.objects.create_superuser("root")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="root"))
    before = everything()
    for route, _, path in console(world):
        answer = client.post(path, {"post": "yes", "name": "x"})
        assert answer.status_code == 403 or route == "/admin", path
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
