"""People at the console, one for each role."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

SignedOn = Callable[[str], Client]


@pytest.fixture
def signed_on(db: None) -> SignedOn:
    """A browser in which somebody with a role is signed in; '' is somebody with none."""

    def sign_on(role: str) -> Client:
        user = User.objects.create_user(role or "nobody")
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        # A session is noted as used at its first page, and then now and again: no test counts that among its queries.
        client.get("/admin/password_change/")
        return client

    return sign_on
