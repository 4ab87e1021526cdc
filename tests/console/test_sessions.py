"""Sessions are stored under a hash of their keys."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client

from flyte_site.console.sessions import SessionStore, hash_session_key

pytestmark = [pytest.mark.database, pytest.mark.django_db]


def test_the_server_uses_hashed_keys() -> None:
    assert import_module(settings.SESSION_ENGINE).SessionStore is SessionStore


def test_the_table_has_no_key_that_a_browser_could_send(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    key = client.cookies[settings.SESSION_COOKIE_NAME].value

    assert Session.objects.get().pk == hash_session_key(key) != key
    assert client.get("/admin/").status_code == 200
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = Session.objects.get().pk
    assert thief.get("/admin/").status_code == 302


def test_a_session_is_saved_changed_found_and_deleted() -> None:
    session = SessionStore()
    session["seen"] = 1
    session.save()
    assert SessionStore(session.session_key)["seen"] == 1
    session["seen"] = 2
    session.save()
    assert Session.objects.count() == 1
    assert SessionStore().exists(str(session.session_key))
    assert SessionStore(session.session_key)["seen"] == 2

    session.cycle_key()
    assert Session.objects.get().pk == hash_session_key(str(session.session_key))
    session.delete()
    assert not Session.objects.exists()
    session.delete()


def test_an_unknown_key_is_dropped() -> None:
    session = SessionStore("k" * 32)

    assert session.load() == {}
    assert session.session_key is None


@pytest.fixture
def release_before(transactional_db: None) -> Iterator[None]:
    call_command("migrate", "flyte_site", "0010", verbosity=0)
    try:
        yield
    finally:
        call_command("migrate", "flyte_site", verbosity=0)


@pytest.mark.usefixtures("release_before")
def test_sessions_of_the_release_before_stay() -> None:
    old = import_module("django.contrib.sessions.backends.db").SessionStore()
    old["seen"] = 1
    old.save()

    call_command("migrate", "flyte_site", verbosity=0)

    assert SessionStore(old.session_key)["seen"] == 1
