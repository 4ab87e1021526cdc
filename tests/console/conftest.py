"""Signed-in users of the console."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

SignedOn = Callable[[str], Client]


@pytest.fixture
def signed_on(db: None) -> SignedOn:
    """Return a function that signs in a new user with a role, or without one for '', and returns the client."""

    def sign_on(role: str) -> Client:
        user = User.objects.create_user(role or "nobody")
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        # The first page of a session records its use; tests must not count that query.
        client.get("/admin/password_change/")
        return client

    return sign_on
