"""Sign-in at the console by a provider: who comes in, as whom, with which roles, and what is refused."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group, User
from django.test import Client

from flyte_site.auth.oidc.role_mapping import parse_role_rules
from flyte_site.console.accounts import create_first_admin
from flyte_site.console.oidc_login import PROVIDER_UNAVAILABLE_MESSAGE, TRY_AGAIN_MESSAGE
from flyte_site.console.oidc_users import find_missing_roles
from flyte_site.core.runtime import runtime
from flyte_site.models import Change, Identity
from tests.auth.provider import KEYS, Provider, unsigned

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CLIENT, SECRET = "console:app", "s e/cret"
START, BACK = "/admin/sign-on/", "/admin/sign-on/return/"
TOKEN, USERINFO = "/dex/token", "/dex/userinfo"


@dataclass
class Browser:
    """Somebody's browser, and the provider that it is sent to."""

    provider: Provider
    client: Client

    def start(self, query: str = "", **headers: str) -> dict[str, str]:
        """Goes to the provider; what it is asked there."""
        sent = self.client.get(START + query, headers=headers)
        assert sent.status_code == 302
        address = urlsplit(sent.headers["Location"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{self.provider.issuer}/authorization"
        return {name: values[0] for name, values in parse_qs(address.query).items()}

    def come_back(self, asked: dict[str, str], id_token: str, **userinfo: Any) -> Any:
        """Comes back from the provider, which has this to give for the code."""
        self.provider.answers[TOKEN] = {"id_token": id_token, "access_token": "a", "token_type": "Bearer"}
        self.provider.answers[USERINFO] = {"sub": "s", **userinfo}
        return self.client.get(BACK, {"code": "c", "state": asked["state"]})

    def sign_on(self, query: str = "", **claims: Any) -> Any:
        asked = self.start(query)
        return self.come_back(asked, self.provider.token(**{"aud": CLIENT, "nonce": asked["nonce"], **claims}))

    @property
    def user(self) -> User | None:
        """Who is signed in."""
        return User.objects.filter(pk=self.client.session.get("_auth_user_id", 0)).first()

    def is_turned_away(self, answer: Any, words: str) -> bool:
        """Whether the front door tells these words, and nobody is signed in."""
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/")
        page = self.client.get("/admin/login/").content.decode()
        return self.user is None and words.split(".")[0] in page


@pytest.fixture
def browser(settings: LazySettings, provider: Provider) -> Browser:
    provider.signs_on = True
    settings.FLYTE_OIDC_ISSUER_URL = provider.issuer
    settings.FLYTE_CONSOLE_CLIENT_ID, settings.FLYTE_CONSOLE_CLIENT_SECRET = CLIENT, SECRET
    settings.FLYTE_CONSOLE_SIGN_ON = True
    settings.FLYTE_CONSOLE_ROLES = parse_role_rules("groups:leads=admin,groups:dev=editor")
    settings.AUTHENTICATION_BACKENDS = [
        *settings.AUTHENTICATION_BACKENDS,
        "flyte_site.console.oidc_login.ConsoleOIDCBackend",
    ]
    return Browser(provider, Client())


def names(groups: Any) -> list[str]:
    return sorted(group.name for group in groups.all())


def test_who_comes_for_the_first_time_gets_an_account_with_the_roles_of_their_claims(browser: Browser) -> None:
    claims = {"preferred_username": "ana", "email": "ana@example.org", "given_name": "Ana", "groups": ["dev", "x"]}
    answer = browser.sign_on("?next=/admin/flyte_site/change/", **claims)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/flyte_site/change/")
    user = browser.user
    assert user
    assert (user.username, user.email, user.first_name, names(user.groups)) == (
        "ana",
        "ana@example.org",
        "Ana",
        ["editor"],
    )
    assert not user.has_usable_password()
    assert not user.is_superuser
    assert browser.client.get("/admin/flyte_site/change/").status_code == 200
    assert browser.client.get("/admin/auth/user/").status_code == 403
    assert [(one.actor, one.what) for one in Change.objects.order_by("pk")] == [
        ("ana", "created"),
        ("ana", "changed roles"),
    ]


def test_the_provider_is_asked_as_the_protocol_wants_it(browser: Browser) -> None:
    asked = browser.start()
    assert (asked["client_id"], asked["response_type"], asked["scope"]) == (CLIENT, "code", "openid profile email")
    assert asked["redirect_uri"] == "http://testserver/admin/sign-on/return/"
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    browser.come_back(asked, browser.provider.token(aud=CLIENT, nonce=asked["nonce"], groups=["dev"]))
    sent = browser.provider.sent[TOKEN]
    assert (sent["grant_type"], sent["code"], len(sent["code_verifier"])) == ("authorization_code", "c", 64)
    assert sent["redirect_uri"] == asked["redirect_uri"]
    assert "client_secret" not in sent
    assert base64.b64decode(sent["authorization"].removeprefix("Basic ")) == b"console%3Aapp:s+e%2Fcret"


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(browser: Browser) -> None:
    browser.provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    browser.sign_on(groups=["dev"])
    sent = browser.provider.sent[TOKEN]
    assert (sent["client_secret"], sent["authorization"]) == (SECRET, "")


def test_behind_a_proxy_the_provider_sends_people_back_to_where_they_were(browser: Browser) -> None:
    asked = browser.start(**{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "flyte.example.org"})
    assert asked["redirect_uri"] == "https://flyte.example.org/admin/sign-on/return/"


def test_roles_follow_the_claims_at_each_sign_on(browser: Browser) -> None:
    browser.sign_on(groups=["leads"])
    browser.client.post("/admin/logout/")
    browser.sign_on(groups=["dev"])
    user = browser.user
    assert user
    assert names(user.groups) == ["editor"]
    browser.client.post("/admin/logout/")
    assert browser.is_turned_away(browser.sign_on(groups=["x"]), "have no role on this server")
    assert names(user.groups) == []
    assert User.objects.count() == 1


def test_a_stranger_without_a_role_leaves_nothing_behind(browser: Browser) -> None:
    assert browser.is_turned_away(browser.sign_on(groups=["x"]), "have no role on this server")
    assert not User.objects.exists()


def test_where_claims_give_no_roles_an_admin_does_and_they_stay(browser: Browser, settings: LazySettings) -> None:
    settings.FLYTE_CONSOLE_ROLES = ()
    browser.sign_on(groups=["leads"])
    user = browser.user
    assert user
    assert names(user.groups) == []
    user.groups.add(Group.objects.get(name="viewer"))
    browser.client.post("/admin/logout/")
    browser.sign_on()
    assert names(user.groups) == ["viewer"]


def test_groups_may_stand_in_userinfo_alone_and_the_signed_word_counts_more(browser: Browser) -> None:
    asked = browser.start()
    token = browser.provider.token(aud=CLIENT, nonce=asked["nonce"], email="signed@example.org")
    browser.come_back(asked, token, groups=["dev"], email="other@example.org")
    user = browser.user
    assert user
    assert (user.email, names(user.groups)) == ("signed@example.org", ["editor"])


def test_userinfo_about_somebody_else_does_not_count(browser: Browser) -> None:
    asked = browser.start()
    answer = browser.come_back(
        asked, browser.provider.token(aud=CLIENT, nonce=asked["nonce"]), sub="other", groups=["leads"]
    )
    assert browser.is_turned_away(answer, TRY_AGAIN_MESSAGE)


def test_nobody_gets_an_account_of_this_server_by_having_its_name_or_address(browser: Browser) -> None:
    local = User.objects.create_superuser("admin", email="admin@example.org", password="x")
    browser.sign_on(preferred_username="admin", email="admin@example.org", groups=["dev"])
    user = browser.user
    assert user
    assert user.pk != local.pk
    assert user.username.startswith("admin+")
    assert not user.is_superuser


def test_a_new_name_at_the_provider_is_still_the_same_person(browser: Browser) -> None:
    browser.sign_on(preferred_username="ana", groups=["dev"])
    browser.sign_on(preferred_username="ana.married", email="new@example.org", groups=["dev"])
    assert Identity.objects.get().user == browser.user
    assert User.objects.get().email == "new@example.org"


def test_an_account_that_is_switched_off_stays_out(browser: Browser) -> None:
    browser.sign_on(groups=["dev"])
    browser.client.post("/admin/logout/")
    User.objects.update(is_active=False)
    assert browser.is_turned_away(browser.sign_on(groups=["dev"]), "deactivated")


def tampered(provider: Provider, nonce: str) -> str:
    """A token that the provider has signed, with other claims put into it."""
    header, _, signature = provider.token(aud=CLIENT, nonce=nonce).split(".")
    _, better, _ = unsigned(provider.claims(aud=CLIENT, nonce=nonce, groups=["leads"])).split(".")
    return f"{header}.{better}.{signature}"


Forged = Callable[[Provider, str], str]
FORGED: dict[str, Forged] = {
    "another's nonce": lambda provider, nonce: provider.token(aud=CLIENT, nonce="x" * 32, groups=["leads"]),
    "no nonce": lambda provider, nonce: provider.token(aud=CLIENT, groups=["leads"]),
    "a nonce that is no text": lambda provider, nonce: provider.token(aud=CLIENT, nonce=[nonce], groups=["leads"]),
    "for the API": lambda provider, nonce: provider.token(nonce=nonce, groups=["leads"]),
    "for another client too": lambda provider, nonce: provider.token(
        aud=[CLIENT, "other"], azp="other", nonce=nonce, groups=["leads"]
    ),
    "of another issuer": lambda provider, nonce: provider.token(
        iss="http://evil", aud=CLIENT, nonce=nonce, groups=["leads"]
    ),
    "expired": lambda provider, nonce: provider.token(exp=1, aud=CLIENT, nonce=nonce, groups=["leads"]),
    "signed by a stranger": lambda provider, nonce: provider.token(number=7, aud=CLIENT, nonce=nonce, groups=["leads"]),
    "unsigned": lambda provider, nonce: unsigned(provider.claims(aud=CLIENT, nonce=nonce, groups=["leads"])),
    "signed with the secret": lambda provider, nonce: unsigned(
        provider.claims(aud=CLIENT, nonce=nonce, groups=["leads"]), "HS256", b"x" * 32
    ),
    "tampered with": lambda provider, nonce: tampered(provider, nonce),
    "no token": lambda provider, nonce: "",
}


@pytest.mark.parametrize("kind", FORGED)
def test_an_id_token_that_was_not_made_for_this_sign_on_lets_nobody_in(browser: Browser, kind: str) -> None:
    asked = browser.start()
    answer = browser.come_back(asked, FORGED[kind](browser.provider, asked["nonce"]))
    assert browser.is_turned_away(answer, TRY_AGAIN_MESSAGE)
    assert not User.objects.exists()


def test_a_state_counts_once_and_only_in_the_browser_that_it_was_made_for(browser: Browser) -> None:
    asked = browser.start()
    token = browser.provider.token(aud=CLIENT, nonce=asked["nonce"], groups=["dev"])
    other = Browser(browser.provider, Client())
    assert other.is_turned_away(other.come_back(asked, token), TRY_AGAIN_MESSAGE)
    other.start()
    assert other.is_turned_away(other.come_back({**asked, "state": "made-up"}, token), TRY_AGAIN_MESSAGE)
    assert browser.come_back(asked, token).headers["Location"] == "/admin/"
    browser.client.post("/admin/logout/")
    assert browser.is_turned_away(browser.come_back(asked, token), TRY_AGAIN_MESSAGE)


def test_a_foreign_link_back_ends_nobodys_session(browser: Browser) -> None:
    browser.sign_on(groups=["dev"])
    browser.client.get(BACK, {"error": "access_denied", "state": "made-up"})
    assert browser.user


def test_who_says_no_at_the_provider_is_told_so(browser: Browser) -> None:
    asked = browser.start()
    answer = browser.client.get(BACK, {"error": "access_denied", "state": asked["state"]})
    assert browser.is_turned_away(answer, TRY_AGAIN_MESSAGE)


@pytest.mark.parametrize("there", ["https://evil.example.org/", "//evil.example.org", "javascript:alert(1)", "/\\evil"])
def test_nobody_is_sent_to_other_sites(browser: Browser, there: str) -> None:
    answer = browser.sign_on(f"?next={there}", groups=["dev"])
    assert answer.headers["Location"] == "/admin/"


def test_while_the_provider_is_away_a_page_says_so_and_it_is_not_asked_each_time(browser: Browser) -> None:
    browser.provider.status = 503
    for _ in range(3):
        assert browser.is_turned_away(browser.client.get(START), PROVIDER_UNAVAILABLE_MESSAGE)
    assert sum(browser.provider.asked.values()) == 1


@pytest.mark.parametrize("path", [TOKEN, USERINFO, KEYS])
def test_a_provider_that_fails_on_the_way_back_is_away(browser: Browser, path: str) -> None:
    asked = browser.start()
    token = browser.provider.token(aud=CLIENT, nonce=asked["nonce"], groups=["dev"])
    if path == KEYS:
        browser.provider.body = b"no JSON"
        assert browser.is_turned_away(browser.come_back(asked, token), PROVIDER_UNAVAILABLE_MESSAGE)
    else:
        browser.provider.answers |= {TOKEN: {"id_token": token, "access_token": "a"}, USERINFO: {"sub": "s"}}
        browser.provider.answers[path] = {"status": 500}
        assert browser.is_turned_away(
            browser.client.get(BACK, {"code": "c", "state": asked["state"]}), PROVIDER_UNAVAILABLE_MESSAGE
        )


def test_a_provider_with_an_unsafe_address_is_not_used(browser: Browser) -> None:
    browser.provider.discovery = {"token_endpoint": "ftp://127.0.0.1/token"}
    runtime.reset()
    assert browser.is_turned_away(browser.client.get(START), PROVIDER_UNAVAILABLE_MESSAGE)


def test_signing_on_gives_the_session_another_name_and_signing_off_ends_it(browser: Browser) -> None:
    asked = browser.start()
    before = browser.client.session.session_key
    browser.come_back(asked, browser.provider.token(aud=CLIENT, nonce=asked["nonce"], groups=["dev"]))
    cookie = browser.client.cookies["flyte_session"].value
    assert cookie != before
    browser.client.post("/admin/logout/")
    kept = Client()
    kept.cookies["flyte_session"] = cookie
    assert kept.get("/admin/").status_code == 302


def test_without_local_accounts_there_is_the_provider_alone(browser: Browser, settings: LazySettings) -> None:
    User.objects.create_superuser("root", password="well kept")
    settings.FLYTE_LOCAL_ACCOUNTS = False
    page = browser.client.get("/admin/login/").content.decode()
    assert "Sign in with 127.0.0.1" in page
    assert "password" not in page
    form = {"username": "root", "password": "well kept"}
    assert browser.client.post("/admin/login/", form).status_code == 403
    User.objects.all().delete()
    assert create_first_admin() is None


def test_without_a_provider_there_is_no_way_to_it(client: Client) -> None:
    assert "Sign in with" not in client.get("/admin/login/").content.decode()
    assert client.get(START).status_code == client.get(BACK).status_code == 404


def test_roles_that_there_are_not_are_known_at_the_start(browser: Browser, settings: LazySettings) -> None:
    settings.FLYTE_CONSOLE_ROLES = parse_role_rules("groups:a=admin,groups:b=amdin")
    assert find_missing_roles() == ["amdin"]
    browser.sign_on(groups=["a", "b"])
    user = browser.user
    assert user
    assert names(user.groups) == ["admin"]
