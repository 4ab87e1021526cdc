"""A plugin that restores the roles after each test with real transactions.

Such a test ends by emptying all tables. The roles are rows of a migration, so Django does not create them again, and
the next test of the process, which pytest-xdist chooses, would find none.
"""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

Roles = dict[str, set[tuple[str, str]]]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        roles = read_roles()
    empty_tables = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def empty_tables_except_roles(case: TransactionTestCase) -> None:
        empty_tables(case)
        write_roles(roles)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables_except_roles)
        yield


def read_roles() -> Roles:
    """Return the permissions of each role, as pairs of app label and codename."""
    pairs = Group.objects.values_list("name", "permissions__content_type__app_label", "permissions__codename")
    roles: Roles = {}
    for name, app, codename in pairs:
        roles.setdefault(name, set()).add((app, codename))
    return roles


def write_roles(roles: Roles) -> None:
    permissions = {(one.content_type.app_label, one.codename): one for one in Permission.objects.select_related()}
    for name, pairs in roles.items():
        role, _ = Group.objects.get_or_create(name=name)
        role.permissions.set([permissions[pair] for pair in pairs])
