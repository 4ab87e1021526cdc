"""Permissions of approvals, in the console and in the REST API."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User

from flyte_site.auth.scopes import REQUIRED_SCOPES, SCOPES
from packs.approvals.permissions import DECIDE_PERMISSION, VIEW_PERMISSION, may_decide, may_view

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_every_request_of_the_api_for_approvals_requires_the_same_scope() -> None:
    requests = {request: scope for request, scope in REQUIRED_SCOPES.items() if "/v1/approvals" in request}
    (scope,) = set(requests.values())
    assert "approve" in SCOPES[scope]


@pytest.mark.parametrize("name", [VIEW_PERMISSION, DECIDE_PERMISSION])
def test_the_permission_exists(name: str) -> None:
    app, _, codename = name.partition(".")
    assert Permission.objects.filter(content_type__app_label=app, codename=codename).count() == 1


@pytest.mark.parametrize(
    ("role", "rights"),
    [("viewer", (True, False)), ("editor", (True, False)), ("operator", (True, True)), ("admin", (True, True))],
)
def test_a_role_may_view_and_operators_and_admins_may_decide(role: str, rights: tuple[bool, bool]) -> None:
    user = User.objects.create_user("Ana")
    user.groups.add(Group.objects.get(name=role))
    assert (may_view(user), may_decide(user)) == rights


def test_anonymous_users_have_no_permissions() -> None:
    assert (may_view(AnonymousUser()), may_decide(AnonymousUser())) == (False, False)
