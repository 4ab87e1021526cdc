"""Tokens in the console: permissions, secrets that are shown once, and the banner about anonymous access."""

import re

import pytest
from django.conf import LazySettings
from django.test import Client

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.models import Change, Token
from tests.console.conftest import SignedOn
from tests.console.looking import text_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST, ADD = "/admin/flyte_site/token/", "/admin/flyte_site/token/add/"
FORM = {
    "name": "slack-prod",
    "pack": "Slack*",
    "labels": "env=prod\n zone: a ",
    "expires": "30",
    "scopes": ["flows:read"],
}


def made(name: str = "made") -> Token:
    return tokens.create_token(COMMAND_LINE_ACTOR, name, scopes=["flows:read"])[0]


def test_a_token_is_shown_once_and_has_its_permissions(signed_on: SignedOn, settings: LazySettings) -> None:
    settings.FLYTE_AUTH = "tokens"
    client = signed_on("admin")
    answer = client.post(ADD, FORM)
    (secret,) = set(re.findall(r"flyte_[\w-]{43}", answer.content.decode()))
    assert "no-store" in answer.headers["Cache-Control"]
    token = Token.objects.get()
    assert (token.pack, token.labels, token.scopes) == ("Slack*", {"env": "prod", "zone": "a"}, ["flows:read"])
    assert token.expires_at
    assert 29 <= (token.expires_at - token.created_at).days <= 30
    assert secret not in client.get(LIST).content.decode()
    assert Client().get("/v1/flows", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    change = Change.objects.get(kind="token")
    assert (change.actor, change.via, change.what, change.key) == ("admin", "console", "created", "slack-prod")
    assert secret not in str(change.detail)


def test_a_revoked_token_is_refused(signed_on: SignedOn) -> None:
    token, client = made(), signed_on("admin")
    assert "Revoke" in client.get(LIST).content.decode()
    answer = client.post(f"{LIST}{token.pk}/revoke/", follow=True)
    page = answer.content.decode()
    assert "Token made has been revoked" in page
    assert f"{token.pk}/revoke/" not in page
    token.refresh_from_db()
    assert token.revoked_at
    assert Change.objects.filter(kind="token", what="revoked", actor="admin").count() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "required"),
        ({"name": "made"}, "already"),
        ({"pack": "", "labels": ""}, ""),
        (
            {"pack": "", "labels": "", "scopes": []},
            "Choose a pack or at least one scope; without either, the token allows nothing.",
        ),
        ({"pack": ""}, "Labels require a pack"),
        ({"labels": "env"}, "Invalid label &#x27;env&#x27;: use name=value, such as env=prod."),
        ({"scopes": ["everything"]}, "everything"),
        ({"expires": "4000"}, "4000"),
    ],
)
def test_errors_of_a_token_are_shown_on_the_form(signed_on: SignedOn, wrong: dict[str, object], words: str) -> None:
    made()
    page = signed_on("admin").post(ADD, {**FORM, **wrong}).content.decode()
    assert words in page
    assert Token.objects.count() == (1 if words else 2)


@pytest.mark.parametrize("role", ["", "viewer", "editor", "operator"])
def test_only_admins_see_tokens(signed_on: SignedOn, role: str) -> None:
    token, client = made(), signed_on(role)
    revoke = f"{LIST}{token.pk}/revoke/"
    assert [client.get(LIST).status_code, client.get(ADD).status_code] == [403, 403]
    assert [client.post(ADD, FORM).status_code, client.post(revoke).status_code] == [403, 403]
    token.refresh_from_db()
    assert (Token.objects.count(), token.revoked_at) == (1, None)
    assert "Tokens" not in client.get("/admin/").content.decode()


def test_only_forms_of_this_site_change_tokens(signed_on: SignedOn) -> None:
    token, client = made(), signed_on("admin")
    assert client.get(f"{LIST}{token.pk}/revoke/").status_code == 405
    client.handler.enforce_csrf_checks = True
    assert client.post(f"{LIST}{token.pk}/revoke/").status_code == 403
    assert client.post(ADD, FORM).status_code == 403
    for path in (f"{token.pk}/change/", f"{token.pk}/delete/", "999/revoke/"):
        assert client.get(LIST + path).status_code in (404, 405)


def test_tokens_are_paged(signed_on: SignedOn) -> None:
    Token.objects.bulk_create(Token(name=f"t{number:03}", digest=str(number), shown="x") for number in range(150))
    client = signed_on("admin")
    assert "t149" not in client.get(LIST).content.decode()
    assert "t149" in client.get(LIST, {"page": "2"}).content.decode()
    assert client.get(LIST, {"page": "x"}).status_code == 200


def test_every_page_warns_of_anonymous_access_from_a_network(signed_on: SignedOn, settings: LazySettings) -> None:
    client = signed_on("admin")
    for auth, bind, has_banner in (
        ("none", "0.0.0.0", True),
        ("none", "127.0.0.1", False),
        ("tokens", "0.0.0.0", False),
    ):
        settings.FLYTE_AUTH, settings.FLYTE_BIND = auth, bind
        for path in ("/admin/", LIST, ADD, "/admin/auth/user/", "/admin/flyte_site/change/", "/admin/flows/execution/"):
            assert ("The API is open" in client.get(path).content.decode()) == has_banner, path


def test_the_form_with_errors_says_that_nothing_was_saved_and_can_be_left(signed_on: SignedOn) -> None:
    client = signed_on("admin")
    fresh, wrong = client.get(ADD).content.decode(), client.post(ADD, {**FORM, "name": ""}).content.decode()
    assert "Not saved" not in fresh
    assert "<strong>Not saved.</strong> Fix the error below." in wrong
    assert f'<a class="btn" href="{LIST}">Cancel</a>' in fresh
    assert wrong.index("This field is required.") < wrong.index("A unique name for lists")


def test_the_question_before_revoking_names_the_token(signed_on: SignedOn) -> None:
    made("slack-prod")
    assert "Revoke token 'slack-prod'?" in text_of(signed_on("admin").get(LIST))
