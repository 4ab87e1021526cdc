"""The end of a test with real transactions keeps the roles."""

import pytest
from django.contrib.auth.models import Group
from django.test import TransactionTestCase

from tests.roles import read_roles

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def test_the_end_of_a_test_restores_roles_and_their_permissions() -> None:
    roles = read_roles()
    assert {"viewer", "editor", "operator", "admin"} == set(roles)
    assert ("flows", "view_flow") in roles["viewer"]
    Group.objects.get(name="viewer").permissions.clear()
    Group.objects.create(name="more")
    TransactionTestCase()._fixture_teardown()  # type: ignore[attr-defined]
    assert read_roles() == roles
