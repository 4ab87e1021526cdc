"""Single sign-on at the console: accounts, roles, and refused sign-ins."""

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
    """The browser of a person, and the provider that it is redirected to."""

    provider: Provider
    client: Client

    def start(self, query: str = "", **headers: str) -> dict[str, str]:
        """Start the sign-on; return the query of the redirect to the provider."""
        sent = self.client.get(START + query, headers=headers)
        assert sent.status_code == 302
        address = urlsplit(sent.headers["Location"])
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{self.provider.issuer}/authorization"
        return {name: values[0] for name, values in parse_qs(address.query).items()}

    def come_back(self, query: dict[str, str], id_token: str, **userinfo: Any) -> Any:
        """Return from the provider, which exchanges the code for this token and these claims."""
        self.provider.answers[TOKEN] = {"id_token": id_token, "access_token": "a", "token_type": "Bearer"}
        self.provider.answers[USERINFO] = {"sub": "s", **userinfo}
        return self.client.get(BACK, {"code": "c", "state": query["state"]})

    def sign_on(self, query: str = "", **claims: Any) -> Any:
        redirect = self.start(query)
        return self.come_back(redirect, self.provider.token(**{"aud": CLIENT, "nonce": redirect["nonce"], **claims}))

    @property
    def user(self) -> User | None:
        """The signed-in user, or None."""
        return User.objects.filter(pk=self.client.session.get("_auth_user_id", 0)).first()

    def is_turned_away(self, answer: Any, words: str) -> bool:
        """Return True if nobody is signed in and the sign-in page has these words."""
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


def test_the_first_sign_on_creates_an_account_with_the_roles_of_the_claims(browser: Browser) -> None:
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
    assert [(change.actor, change.what) for change in Change.objects.order_by("pk")] == [
        ("ana", "created"),
        ("ana", "changed roles"),
    ]


def test_requests_to_the_provider_follow_the_protocol(browser: Browser) -> None:
    query = browser.start()
    assert (query["client_id"], query["response_type"], query["scope"]) == (CLIENT, "code", "openid profile email")
    assert query["redirect_uri"] == "http://testserver/admin/sign-on/return/"
    assert (query["code_challenge_method"], len(query["code_challenge"])) == ("S256", 43)
    browser.come_back(query, browser.provider.token(aud=CLIENT, nonce=query["nonce"], groups=["dev"]))
    sent = browser.provider.sent[TOKEN]
    assert (sent["grant_type"], sent["code"], len(sent["code_verifier"])) == ("authorization_code", "c", 64)
    assert sent["redirect_uri"] == query["redirect_uri"]
    assert "client_secret" not in sent
    assert base64.b64decode(sent["authorization"].removeprefix("Basic ")) == b"console%3Aapp:s+e%2Fcret"


def test_the_secret_is_sent_in_the_form_if_the_provider_requires_it(browser: Browser) -> None:
    browser.provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    browser.sign_on(groups=["dev"])
    sent = browser.provider.sent[TOKEN]
    assert (sent["client_secret"], sent["authorization"]) == (SECRET, "")


def test_behind_a_proxy_the_provider_redirects_to_the_public_address(browser: Browser) -> None:
    query = browser.start(**{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "flyte.example.org"})
    assert query["redirect_uri"] == "https://flyte.example.org/admin/sign-on/return/"


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


def test_a_new_person_without_a_role_gets_no_account(browser: Browser) -> None:
    assert browser.is_turned_away(browser.sign_on(groups=["x"]), "have no role on this server")
    assert not User.objects.exists()


def test_roles_that_an_admin_assigned_stay_without_role_rules(browser: Browser, settings: LazySettings) -> None:
    settings.FLYTE_CONSOLE_ROLES = ()
    browser.sign_on(groups=["leads"])
    user = browser.user
    assert user
    assert names(user.groups) == []
    user.groups.add(Group.objects.get(name="viewer"))
    browser.client.post("/admin/logout/")
    browser.sign_on()
    assert names(user.groups) == ["viewer"]


def test_groups_can_come_from_userinfo_and_signed_claims_have_priority(browser: Browser) -> None:
    query = browser.start()
    token = browser.provider.token(aud=CLIENT, nonce=query["nonce"], email="signed@example.org")
    browser.come_back(query, token, groups=["dev"], email="other@example.org")
    user = browser.user
    assert user
    assert (user.email, names(user.groups)) == ("signed@example.org", ["editor"])


def test_userinfo_of_another_subject_is_refused(browser: Browser) -> None:
    query = browser.start()
    answer = browser.come_back(
        query, browser.provider.token(aud=CLIENT, nonce=query["nonce"]), sub="other", groups=["leads"]
    )
    assert browser.is_turned_away(answer, TRY_AGAIN_MESSAGE)


def test_a_local_account_is_not_linked_by_its_name_or_email(browser: Browser) -> None:
    local = User.objects.create_superuser("admin", email="admin@example.org", password="x")
    browser.sign_on(preferred_username="admin", email="admin@example.org", groups=["dev"])
    user = browser.user
    assert user
    assert user.pk != local.pk
    assert user.username.startswith("admin+")
    assert not user.is_superuser


def test_a_renamed_person_keeps_the_account(browser: Browser) -> None:
    browser.sign_on(preferred_username="ana", groups=["dev"])
    browser.sign_on(preferred_username="ana.married", email="new@example.org", groups=["dev"])
    assert Identity.objects.get().user == browser.user
    assert User.objects.get().email == "new@example.org"


def test_names_can_have_unusual_characters_but_no_control_characters(browser: Browser) -> None:
    name = "山田\u3000太郎\u200d\u00a0\u200f"
    browser.sign_on(given_name=name, family_name="line\u2028break", groups=["dev"])
    user = browser.user
    assert user
    assert (user.first_name, user.last_name) == (name, "")


def test_a_deactivated_account_cannot_sign_on(browser: Browser) -> None:
    browser.sign_on(groups=["dev"])
    browser.client.post("/admin/logout/")
    User.objects.update(is_active=False)
    assert browser.is_turned_away(browser.sign_on(groups=["dev"]), "deactivated")


def tampered(provider: Provider, nonce: str) -> str:
    """Return a signed token whose claims were changed after the signature."""
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
def test_an_id_token_of_another_sign_on_is_refused(browser: Browser, kind: str) -> None:
    query = browser.start()
    answer = browser.come_back(query, FORGED[kind](browser.provider, query["nonce"]))
    assert browser.is_turned_away(answer, TRY_AGAIN_MESSAGE)
    assert not User.objects.exists()


def test_a_state_is_valid_once_and_only_in_its_browser(browser: Browser) -> None:
    query = browser.start()
    token = browser.provider.token(aud=CLIENT, nonce=query["nonce"], groups=["dev"])
    other = Browser(browser.provider, Client())
    assert other.is_turned_away(other.come_back(query, token), TRY_AGAIN_MESSAGE)
    other.start()
    assert other.is_turned_away(other.come_back({**query, "state": "made-up"}, token), TRY_AGAIN_MESSAGE)
    assert browser.come_back(query, token).headers["Location"] == "/admin/"
    browser.client.post("/admin/logout/")
    assert browser.is_turned_away(browser.come_back(query, token), TRY_AGAIN_MESSAGE)


def test_a_forged_return_does_not_end_the_session(browser: Browser) -> None:
    browser.sign_on(groups=["dev"])
    browser.client.get(BACK, {"error": "access_denied", "state": "made-up"})
    assert browser.user


def test_a_refusal_at_the_provider_is_reported(browser: Browser) -> None:
    query = browser.start()
    answer = browser.client.get(BACK, {"error": "access_denied", "state": query["state"]})
    assert browser.is_turned_away(answer, TRY_AGAIN_MESSAGE)


@pytest.mark.parametrize(
    "target", ["https://evil.example.org/", "//evil.example.org", "javascript:alert(1)", "/\\evil"]
)
def test_there_are_no_redirects_to_other_sites(browser: Browser, target: str) -> None:
    answer = browser.sign_on(f"?next={target}", groups=["dev"])
    assert answer.headers["Location"] == "/admin/"


def test_an_unavailable_provider_is_reported_and_not_requested_each_time(browser: Browser) -> None:
    browser.provider.status = 503
    for _ in range(3):
        assert browser.is_turned_away(browser.client.get(START), PROVIDER_UNAVAILABLE_MESSAGE)
    assert sum(browser.provider.requests.values()) == 1


@pytest.mark.parametrize("path", [TOKEN, USERINFO, KEYS])
def test_a_provider_that_fails_after_the_return_is_unavailable(browser: Browser, path: str) -> None:
    query = browser.start()
    token = browser.provider.token(aud=CLIENT, nonce=query["nonce"], groups=["dev"])
    if path == KEYS:
        browser.provider.body = b"no JSON"
        assert browser.is_turned_away(browser.come_back(query, token), PROVIDER_UNAVAILABLE_MESSAGE)
    else:
        browser.provider.answers |= {TOKEN: {"id_token": token, "access_token": "a"}, USERINFO: {"sub": "s"}}
        browser.provider.answers[path] = {"status": 500}
        assert browser.is_turned_away(
            browser.client.get(BACK, {"code": "c", "state": query["state"]}), PROVIDER_UNAVAILABLE_MESSAGE
        )


def test_a_provider_with_an_unsafe_address_is_not_used(browser: Browser) -> None:
    browser.provider.discovery = {"token_endpoint": "ftp://127.0.0.1/token"}
    runtime.reset()
    assert browser.is_turned_away(browser.client.get(START), PROVIDER_UNAVAILABLE_MESSAGE)


def test_signing_on_changes_the_session_key_and_signing_off_ends_the_session(browser: Browser) -> None:
    query = browser.start()
    before = browser.client.session.session_key
    browser.come_back(query, browser.provider.token(aud=CLIENT, nonce=query["nonce"], groups=["dev"]))
    cookie = browser.client.cookies["flyte_session"].value
    assert cookie != before
    browser.client.post("/admin/logout/")
    old_client = Client()
    old_client.cookies["flyte_session"] = cookie
    assert old_client.get("/admin/").status_code == 302


def test_without_local_accounts_only_the_provider_is_offered(browser: Browser, settings: LazySettings) -> None:
    User.objects.create_superuser("root", password="well kept")
    settings.FLYTE_LOCAL_ACCOUNTS = False
    page = browser.client.get("/admin/login/").content.decode()
    assert "Sign in with 127.0.0.1" in page
    assert "password" not in page
    form = {"username": "root", "password": "well kept"}
    assert browser.client.post("/admin/login/", form).status_code == 403
    User.objects.all().delete()
    assert create_first_admin() is None


def test_without_a_provider_no_sign_on_is_offered(client: Client) -> None:
    assert "Sign in with" not in client.get("/admin/login/").content.decode()
    assert client.get(START).status_code == client.get(BACK).status_code == 404


def test_unknown_roles_are_found_at_the_start(browser: Browser, settings: LazySettings) -> None:
    settings.FLYTE_CONSOLE_ROLES = parse_role_rules("groups:a=admin,groups:b=amdin")
    assert find_missing_roles() == ["amdin"]
    browser.sign_on(groups=["a", "b"])
    user = browser.user
    assert user
    assert names(user.groups) == ["admin"]
