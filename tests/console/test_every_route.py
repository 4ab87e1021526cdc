"""All routes of the console: changes need forms of the same site and a permission.

The permissions of each page are tested in `tests/auth/test_console_access.py`.
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

# Pages for visitors who are not signed in.
OPEN = ("/admin", "/admin/", "/admin/login/", "/admin/logout/", "/admin/sign-on/", "/admin/sign-on/return/")
# Pages of one object, and forms for the own account. A viewer may post to them, without effect.
HARMLESS_FORMS = re.compile(r"(execution|event|pack|approval|flowversion|change)_change$|^password_change$")
CHANGES = re.compile(r"_(add|change|delete|enable|disable|restore|cancel|replay|retry|revoke|decide|password_change)$")
# Every page may record the use of the session.
IGNORED_MODELS = ("Session",)


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    return one_of_each()


def console(world: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return pattern, name, and a path to an existing object for each route of the console."""
    return [(route, name, path_of(route, world)) for route, name in console_routes().items()]


def everything() -> dict[str, list[Any]]:
    models = [model for model in apps.get_models() if model.__name__ not in IGNORED_MODELS]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def test_forms_of_other_sites_are_refused(world: dict[str, Any]) -> None:
    User.objects.create_superuser("root")
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="root"))
    before = everything()
    for route, _, path in console(world):
        answer = client.post(path, {"post": "yes", "name": "x"})
        assert answer.status_code == 403 or route == "/admin", path
    assert everything() == before


@pytest.mark.parametrize("role", ["", "viewer"])
def test_users_without_permission_change_nothing(world: dict[str, Any], signed_on: SignedOn, role: str) -> None:
    client = signed_on(role)
    before = everything()
    for route, name, path in console(world):
        if route in OPEN:
            continue
        answer = client.post(path, {"post": "yes", "name": "x", "text": "name: x", "expected": "", "answer": "approve"})
        if CHANGES.search(name) and not HARMLESS_FORMS.search(name):
            assert answer.status_code == 403, path
        assert answer.status_code < 500, path
    assert everything() == before


def test_the_same_forms_have_an_effect_for_a_superuser(world: dict[str, Any]) -> None:
    """Check that the forms of the other tests have an effect if the user has the permission."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    done = ("/disable/", "/enable/", "/cancel", "/restore/", "/revoke/", "/password/", "/delete/", "/delete")
    paths = {end: [path for _, _, path in console(world) if path.endswith(end)] for end in done}
    for end in done:
        before = everything()
        for path in paths[end]:
            client.post(path, {"post": "yes"})
        assert everything() != before, end
