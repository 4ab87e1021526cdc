"""Limits of sessions and of sign-in attempts, and security headers."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from flyte_site.console import login_throttling, middleware
from flyte_site.console.login_throttling import prune_login_attempts, prune_sessions
from tests.console.conftest import SignedOn

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PASSWORD = "as good as any 3"


class SessionClock:
    """A clock that only tests advance."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SessionClock:
    session_clock = SessionClock()
    monkeypatch.setattr(middleware, "time", session_clock)
    return session_clock


def signed_in(client: Client) -> bool:
    return client.get("/admin/").status_code == 200


def test_an_idle_session_ends(signed_on: SignedOn, clock: SessionClock, settings: LazySettings) -> None:
    client = signed_on("viewer")
    for _ in range(3):
        assert signed_in(client)
        clock.now += settings.FLYTE_SESSION_IDLE_SECONDS - 1
    clock.now += 1
    assert not signed_in(client)


def test_automatic_updates_do_not_count_as_use(
    signed_on: SignedOn, clock: SessionClock, settings: LazySettings
) -> None:
    client = signed_on("viewer")
    assert signed_in(client)
    clock.now += settings.FLYTE_SESSION_IDLE_SECONDS - 1
    assert client.get("/admin/", headers={"HX-Request": "true"}).status_code == 200
    clock.now += 1
    refreshed = client.get("/admin/", headers={"HX-Request": "true"})
    assert refreshed.headers["HX-Refresh"] == "true"


def test_every_session_ends_after_its_maximum_age(
    signed_on: SignedOn, clock: SessionClock, settings: LazySettings
) -> None:
    client = signed_on("viewer")
    settings.FLYTE_SESSION_SECONDS = 10 * settings.FLYTE_SESSION_IDLE_SECONDS // 2
    for _ in range(10):
        assert signed_in(client)
        clock.now += settings.FLYTE_SESSION_IDLE_SECONDS // 2
    assert not signed_in(client)


def test_use_is_recorded_once_a_minute(signed_on: SignedOn, clock: SessionClock) -> None:
    client = signed_on("viewer")
    assert signed_in(client)
    before = client.session["used"]
    clock.now += 59
    assert signed_in(client)
    assert client.session["used"] == before
    clock.now += 1
    assert signed_in(client)
    assert client.session["used"] == before + 60


def test_signing_on_changes_the_session_key(client: Client, db: None) -> None:
    User.objects.create_user("ana", password=PASSWORD)
    session = client.session
    session["x"] = 1
    session.save()
    before = session.session_key
    client.post("/admin/login/", {"username": "ana", "password": PASSWORD})
    assert signed_in(client)
    assert client.session.session_key != before


def attempt(name: str, password: str = "wrong", address: str = "198.51.100.1") -> Any:
    """Try to sign in from this address with a new client."""
    form = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post("/admin/login/", form)


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_user("ana", password=PASSWORD)


def test_attempts_are_limited_for_each_name_and_address(person: User, settings: LazySettings) -> None:
    User.objects.create_user("ben", password=PASSWORD)
    answers = [attempt("ana").status_code for _ in range(settings.AXES_FAILURE_LIMIT + 2)]
    assert answers[: settings.AXES_FAILURE_LIMIT - 1] == [200] * (settings.AXES_FAILURE_LIMIT - 1)
    refused = attempt("ana", PASSWORD)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "900")
    assert "Too many wrong passwords" in refused.content.decode()
    assert attempt("ana", PASSWORD, address="198.51.100.2").status_code == 302
    assert attempt("ben", PASSWORD).status_code == 302


def test_attempts_are_limited_for_each_address_whatever_the_names(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_throttling, "MAX_FAILURES_PER_ADDRESS", 6)
    answers = [attempt(f"n{number}", address=f"2001:db8::{number:x}").status_code for number in range(7)]
    assert answers == [200] * 6 + [429]
    refused = attempt("ana", PASSWORD, address="2001:db8::ffff:1")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "900")
    assert AccessAttempt.objects.count() == 6
    assert attempt("ana", PASSWORD, address="2001:db8:0:1::1").status_code == 302


def test_a_failed_sign_in_is_logged_with_its_address_and_without_the_name(
    person: User, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logged:
        for _ in range(settings.AXES_FAILURE_LIMIT):
            attempt("ana")
    lines = [line for line in logged if line["event"] == "sign_in_failed"]
    assert [line["locked_out"] for line in lines] == [False] * (settings.AXES_FAILURE_LIMIT - 1) + [True]
    assert len({line["address"] for line in lines}) == 1
    assert "ana" not in str(logged)
    assert [record for record in caplog.records if record.name.startswith("axes")] == []


def test_concurrent_password_checks_are_limited(person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_throttling, "MAX_HASHING_AND_WAITING", 1)
    with login_throttling.password_hashing().slot():
        refused = attempt("ana", PASSWORD)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert "Too many people sign in at the same time; try again." in refused.content.decode()
    assert attempt("ana", PASSWORD).status_code == 302


def test_attempts_are_allowed_again_after_the_cool_down(person: User, settings: LazySettings) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        attempt("ana")
    assert attempt("ana", PASSWORD).status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - settings.AXES_COOLOFF_TIME)
    assert attempt("ana", PASSWORD).status_code == 302


def test_the_address_comes_only_from_a_trusted_proxy(person: User, settings: LazySettings) -> None:
    form = {"username": "ana", "password": "wrong"}
    for number in range(settings.AXES_FAILURE_LIMIT + 1):
        stranger = Client(REMOTE_ADDR="198.51.100.1", headers={"X-Forwarded-For": f"203.0.113.{number}"})
        answer = stranger.post("/admin/login/", form)
    assert answer.status_code == 429
    proxied = Client(REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": "203.0.113.77"})
    assert proxied.post("/admin/login/", {**form, "password": PASSWORD}).status_code == 302


def test_failed_attempts_are_stored_without_passwords_and_in_bounded_size(person: User) -> None:
    for _ in range(20):
        attempt("ana", "hunter-2-hunter")
    stored = AccessAttempt.objects.get()
    assert "hunter" not in f"{stored.post_data}{stored.get_data}"
    assert len(stored.post_data) < 2000


def test_expired_and_surplus_attempts_are_deleted(
    db: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    for number in range(10):
        at = now - (settings.AXES_COOLOFF_TIME if number < 3 else timedelta(0))
        made = AccessAttempt.objects.create(
            username=f"n{number}", ip_address="198.51.100.1", user_agent="", failures_since_start=1
        )
        AccessAttempt.objects.filter(pk=made.pk).update(attempt_time=at)
    monkeypatch.setattr(login_throttling, "MAX_ATTEMPTS", 4)
    assert prune_login_attempts(now) == 6
    assert set(AccessAttempt.objects.values_list("username", flat=True)) == {"n6", "n7", "n8", "n9"}


def test_expired_sessions_are_deleted(db: None) -> None:
    now = timezone.now()
    for name, at in (("old", now), ("new", now + timedelta(seconds=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=at)
    assert prune_sessions(now) == 1
    assert Session.objects.get().session_key == "new"


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_cookies_are_secure_if_a_trusted_proxy_uses_https(person: User, scheme: str) -> None:
    for address, secure in (("127.0.0.1", scheme == "https"), ("198.51.100.1", False)):
        client = Client(REMOTE_ADDR=address, headers={"X-Forwarded-Proto": scheme})
        client.get("/admin/login/")
        client.post("/admin/login/", {"username": "ana", "password": PASSWORD})
        for name in ("flyte_csrf", "flyte_session"):
            assert bool(client.cookies[name]["secure"]) == secure
        assert client.cookies["flyte_session"]["httponly"]
        assert client.cookies["flyte_session"]["samesite"] == "Lax"


def test_pages_forbid_type_sniffing_and_frames(client: Client, db: None) -> None:
    headers = client.get("/admin/login/").headers
    assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == ("nosniff", "DENY")
    assert "Strict-Transport-Security" not in headers
