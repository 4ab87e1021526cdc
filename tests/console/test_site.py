"""The frame of the console: sign-in, roles, error pages, and headers of every page."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, log_activity
from flyte_site.console.accounts import FIRST_ADMIN_USERNAME, create_first_admin
from flyte_site.models import Change, OneTimePassword
from tests.console.conftest import SignedOn
from tests.site.shape import put_value

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

HTML = "text/html; charset=utf-8"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_the_root_redirects_browsers_to_the_console_and_sends_links_to_clients(client: Client) -> None:
    sent = client.get("/", headers={"Accept": BROWSER})
    assert (sent.status_code, sent.headers["Location"], sent.headers["Vary"]) == (302, "/admin/", "Accept")
    for accept in ("", "*/*", "application/json"):
        assert "links" in client.get("/", headers={"Accept": accept}).json()


def test_every_page_has_a_policy_that_allows_only_scripts_of_this_server(client: Client) -> None:
    for path in ("/admin/login/", "/swagger", "/admin/nothing/"):
        policy = client.get(path, follow=True).headers["Content-Security-Policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["script-src"] == "'self'"
        assert directives["style-src"] == "'self'"
        assert directives["default-src"] == "'none'"
        assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/v1", "/v1/flows", "/health", "/nope", "/v1/datastore/page", "/v1/swagger"])
def test_other_responses_have_a_policy_that_allows_nothing(client: Client, db: None, path: str) -> None:
    put_value(client, "page", b"<script>1</script>", "text/html")
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "'self'" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_every_page_needs_a_sign_in(client: Client) -> None:
    for path in ("/admin/", "/admin/auth/user/", "/admin/flyte_site/change/"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, f"/admin/login/?next={path}")


@pytest.mark.parametrize(
    ("sent_from", "next_page"),
    [
        ("http://testserver/admin/flows/flow/?q=a", "/admin/flows/flow/%3Fq%3Da"),
        ("http://elsewhere.example/admin/people/", "/admin/"),
        ("https://[", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_an_action_after_the_session_ended_returns_to_its_page(client: Client, sent_from: str, next_page: str) -> None:
    answer = client.post("/admin/flows/flow/1/disable/", headers={"Referer": sent_from})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/admin/login/?next={next_page}")
    assert client.post("/admin/logout/").headers["Location"] == "/admin/"


def test_the_first_account_is_created_once_and_must_choose_a_password_first() -> None:
    password = create_first_admin()
    assert password
    assert create_first_admin() is None
    client = Client()
    client.post("/admin/login/", {"username": FIRST_ADMIN_USERNAME, "password": password})
    refused = client.get("/admin/auth/user/")
    assert (refused.status_code, refused.headers["Location"].split("?")[0]) == (302, "/admin/password_change/")
    form = client.get("/admin/password_change/").content.decode()
    assert "You signed in with a one-time password" in form
    assert "Repeat the new password." in form
    assert 'aria-label="Main"' not in form
    chosen = {"new_password1": "much better 1", "new_password2": "much better 1"}
    assert client.post("/admin/password_change/", chosen).headers["Location"] == "/admin/"
    assert client.get("/admin/auth/user/").status_code == 200
    assert not OneTimePassword.objects.exists()


def test_the_sign_in_form_names_what_is_missing(client: Client) -> None:
    said = client.post("/admin/login/", {"username": "", "password": ""}).content.decode()
    assert "Enter your username." in said
    assert "Enter your password." in said


def age_password(**ago: float) -> None:
    OneTimePassword.objects.update(made_at=timezone.now() - timedelta(**ago))


def test_the_first_account_gets_a_new_password_after_the_old_one_expired() -> None:
    first = create_first_admin()
    age_password(hours=71)
    assert create_first_admin() is None
    age_password(hours=73)
    second = create_first_admin()
    assert second not in (None, first)
    assert User.objects.get().check_password(second or "")
    assert create_first_admin() is None
    age_password(hours=73)
    User.objects.create_user("somebody")
    assert create_first_admin() is None


def test_no_first_account_is_created_if_there_are_users() -> None:
    User.objects.create_user("somebody")
    assert create_first_admin() is None


@pytest.mark.parametrize(
    ("role", "people", "changes"),
    [("", 403, 403), ("viewer", 403, 200), ("editor", 403, 200), ("operator", 403, 200), ("admin", 200, 200)],
)
def test_a_role_opens_its_pages_and_no_others(signed_on: SignedOn, role: str, people: int, changes: int) -> None:
    client = signed_on(role)
    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/auth/user/").status_code == people
    assert client.get("/admin/flyte_site/change/").status_code == changes


def test_signing_out_is_confirmed(signed_on: SignedOn) -> None:
    said = signed_on("viewer").post("/admin/logout/").content.decode()
    assert "You have signed out in this browser." in said
    assert "quality time" not in said


def test_the_console_uses_sign_in_and_sign_out_consistently(signed_on: SignedOn) -> None:
    stranger, viewer = Client(), signed_on("viewer")
    wrong = stranger.post("/admin/login/", {"username": "ana", "password": "wrong"}).content.decode()
    assert "Wrong username or password. Both are case-sensitive." in wrong
    pages = [
        stranger.get("/admin/login/").content.decode(),
        wrong,
        viewer.get("/admin/").content.decode(),
        viewer.get("/admin/password_change/").content.decode(),
        viewer.get("/admin/password_change/done/").content.decode(),
        viewer.post("/admin/logout/").content.decode(),
    ]
    for page in pages:
        assert not re.search(r"\blog(ged)?[ -]?(in|out|on)\b", re.sub("<[^>]+>", " ", page), re.IGNORECASE)
        assert re.search(r"\bsign(ed)?[ -](in|out)\b", page, re.IGNORECASE)


def test_a_user_without_a_role_gets_an_explanation(signed_on: SignedOn) -> None:
    assert "You have no role yet" in signed_on("").get("/admin/").content.decode()


def test_an_admin_can_neither_create_nor_change_superusers(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    root = User.objects.create_superuser("root", password="x")
    other = User.objects.create_user("other", password="x")
    assert client.post(f"/admin/auth/user/{root.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"/admin/auth/user/{root.pk}/password/", {"password1": "a", "password2": "a"}).status_code == 403
    client.post(f"/admin/auth/user/{other.pk}/change/", {"username": "other", "is_active": "on", "is_superuser": "on"})
    other.refresh_from_db()
    assert not other.is_superuser


def test_changes_of_users_are_recorded(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    other = User.objects.create_user("other", password="x")
    client.post(f"/admin/auth/user/{other.pk}/change/", {"username": "other", "is_active": "on", "email": "o@x.org"})
    change = Change.objects.get()
    assert (change.actor, change.via, change.kind, change.key, change.what) == (
        "admin",
        "console",
        "person",
        "other",
        "changed",
    )


def test_details_that_are_too_large_are_not_stored() -> None:
    log_activity(COMMAND_LINE_ACTOR, "saved", "flow", "Large", text="x" * 5000)
    assert Change.objects.get().detail == {"note": "details were too large to record"}


def test_errors_are_pages_for_browsers_and_problems_for_clients(signed_on: SignedOn) -> None:
    client = signed_on("viewer")
    page = client.get("/admin/nothing/")
    assert page.status_code == 404
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Page not found." in page.content.decode()
    assert client.get("/v1/nothing").headers["Content-Type"].startswith("application/problem+json")


def test_an_error_page_has_the_navigation_of_the_user_and_no_repetitions(signed_on: SignedOn) -> None:
    client = signed_on("viewer")
    for answer, status in (
        (client.get("/admin/nothing/"), 404),
        (client.get("/admin/auth/user/"), 403),
        (client.get("/admin/flows/flow/check/"), 405),
    ):
        page = answer.content.decode()
        assert answer.status_code == status
        assert 'aria-label="Main"' in page
        assert "<p>Method Not Allowed" not in page, "that is the heading already"
        assert 'href="/admin/flows/flow/"' in page
    bare = Client().get("/nowhere", headers={"Accept": BROWSER}).content.decode()
    assert 'aria-label="Main"' not in bare


def test_a_server_error_is_reported_with_its_request_id(signed_on: SignedOn, monkeypatch: Any) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a defect")

    client = signed_on("viewer")
    client.raise_request_exception = False
    monkeypatch.setattr("flyte_site.admin.get_activity_page", fail)
    answer = client.get("/admin/flyte_site/change/")
    message = f"Internal server error. See the server log, request id {answer.headers['X-Request-ID']}."
    assert (answer.status_code, message in answer.content.decode()) == (500, True)
    assert "RuntimeError" not in answer.content.decode()


@pytest.mark.parametrize("path", ["/nowhere", "/flows"])
def test_an_unknown_path_is_a_page_for_browsers_and_a_problem_for_clients(client: Client, path: str) -> None:
    page = client.get(path, headers={"Accept": BROWSER})
    assert (page.status_code, page.headers["Content-Type"]) == (404, HTML)
    assert "Accept" in page.headers["Vary"]
    assert client.get(path).headers["Content-Type"].startswith("application/problem+json")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/flows/x", "/v1"])
def test_the_api_responds_to_browsers_as_to_clients(client: Client, path: str) -> None:
    answer = client.get(path, headers={"Accept": BROWSER})
    assert "json" in answer.headers["Content-Type"]


def test_405_and_413_are_pages_too(client: Client) -> None:
    refused = client.post("/swagger", headers={"Accept": BROWSER})
    assert (refused.status_code, refused.headers["Content-Type"]) == (405, HTML)
    assert refused.headers["Allow"] == "GET, HEAD"
    large = client.post("/admin/login/", b"x" * 2_000_000, content_type="application/x-www-form-urlencoded")
    assert (large.status_code, large.headers["Content-Type"]) == (413, HTML)
    assert "You sent 1.91 MiB, and the limit is 1 MiB." in large.content.decode()
    assert "FLYTE_MAX_BODY_BYTES" in large.content.decode()


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/"])
def test_an_unavailable_database_is_reported_on_a_page(signed_on: SignedOn, path: str, monkeypatch: Any) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OperationalError("server closed")

    client = signed_on("viewer")
    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", fail)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (503, HTML, "5")
    assert "The database is unavailable." in answer.content.decode()


def test_an_invalid_host_is_a_page_in_the_console(client: Client) -> None:
    answer = client.get("/admin/", headers={"host": "a/b"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, HTML)


def test_a_form_without_its_token_is_refused(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    client.handler.enforce_csrf_checks = True
    client.get("/admin/auth/user/add/")
    answer = client.post("/admin/auth/user/add/", {"username": "x"})
    said = answer.content.decode()
    assert (answer.status_code, "reload the page" in said, "sign in again" in said) == (403, True, True)
    assert "cookies" not in said
    assert client.post("/v1/packs", {"name": "P"}, content_type="application/json").status_code == 201


def test_a_form_without_cookies_explains_that_they_are_required() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x", "password": "y"})
    assert (answer.status_code, "Allow this server&#x27;s cookies" in answer.content.decode()) == (403, True)


@pytest.mark.parametrize(("scheme", "status"), [("https", 302), ("http", 403)])
def test_the_origin_of_a_form_is_compared_with_the_scheme_of_the_proxy(db: None, scheme: str, status: int) -> None:
    User.objects.create_user("p", password="well kept")
    client = Client(enforce_csrf_checks=True)
    around = {"Host": "flyte.example.org", "X-Forwarded-Proto": scheme}
    client.get("/admin/login/", headers=around)
    form = {"username": "p", "password": "well kept", "csrfmiddlewaretoken": client.cookies["flyte_csrf"].value}
    answer = client.post("/admin/login/", form, headers={**around, "Origin": "https://flyte.example.org"})
    assert answer.status_code == status
    assert ("a proxy does not forward the address" in answer.content.decode()) == (status == 403)


def test_the_api_uses_no_session(client: Client) -> None:
    answer = client.get("/v1")
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert not answer.cookies
