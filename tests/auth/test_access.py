"""Permissions of the API: every route and method with every kind of caller, and the page of the docs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from django.test import Client

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.auth.routes import list_api_routes
from flyte_site.auth.scopes import AS_PACK, OPEN, REQUIRED_SCOPES, SCOPES
from tests.auth.conftest import SetPolicy
from tests.auth.provider import Provider
from tests.server import ROOT
from tests.site.shape import problem, register_pack
from tests.site.test_problems import ALLOWED

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGE = ROOT / "docs/reference/access.md"


@dataclass(frozen=True)
class Request:
    """A request for a route, and the scope that it needs."""

    method: str
    path: str
    needed: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, client: Client, token: str = "", **headers: str) -> int:
        all_headers = {"authorization": f"Bearer {token}", **headers} if token else headers
        body, kind = (b'{"name": "x", "event": "e"}', "application/json") if self.method == "POST" else (b"", "")
        return client.generic(self.method, self.path, body, content_type=kind, headers=all_headers).status_code


def requests() -> Iterator[Request]:
    """Yield every method of every API route. Raise KeyError if a route has no row."""
    for route in list_api_routes():
        path = "/" + "/".join("x" if segment is None else segment for segment in route)
        for method in ALLOWED[path].split(", "):
            if method != "HEAD":
                yield Request(method, path, ROWS[f"{method} {path}"])


ROWS = {re.sub(r":\w+", "x", request): needed for request, needed in REQUIRED_SCOPES.items()}
REQUESTS = list(requests())
REFUSED = (401, 403)


def test_every_route_and_method_has_a_row_and_there_are_no_others() -> None:
    assert {str(request) for request in REQUESTS} == set(ROWS)
    assert {request.needed for request in REQUESTS} <= {OPEN, AS_PACK, *SCOPES}


def test_the_access_page_agrees_with_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| ([^|]+) \|$", text, re.MULTILINE))
    assert {request: cell.strip().strip("`") for request, cell in rows.items()} == REQUIRED_SCOPES
    scopes = dict(re.findall(r"^\| `(\w+:\w+)` \| ([^|]+) \|$", text, re.MULTILINE))
    assert {scope: cell.strip() for scope, cell in scopes.items()} == SCOPES


@pytest.fixture
def secrets(settings: LazySettings) -> dict[str, str]:
    """Create a token for each scope, a token of pack x, and a token of another pack; return the secrets by name."""
    settings.FLYTE_AUTH = "tokens"
    register_pack("x")
    made = {scope: tokens.create_token(COMMAND_LINE_ACTOR, scope, scopes=[scope])[1] for scope in SCOPES}
    return {
        **made,
        AS_PACK: tokens.create_token(COMMAND_LINE_ACTOR, "x", pack="x")[1],
        "other": tokens.create_token(COMMAND_LINE_ACTOR, "other", pack="other")[1],
    }


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_with_tokens_a_request_needs_the_scope_of_its_row(
    client: Client, secrets: dict[str, str], request_: Request
) -> None:
    passed = {name for name, secret in secrets.items() if request_.send(client, secret) not in REFUSED}
    expected = set(secrets) if request_.needed == OPEN else {request_.needed}
    assert passed == expected
    assert (request_.send(client) in REFUSED) == (request_.needed != OPEN)
    assert (request_.send(client, "flyte_" + "A" * 43) in REFUSED) == (request_.needed != OPEN)


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_with_a_policy_a_request_needs_the_claims_of_its_rule(
    client: Client, provider: Provider, set_policy: SetPolicy, request_: Request
) -> None:
    register_pack("x")
    set_policy(f"- path: {request_.path}\n  methods: [{request_.method}]\n  claims: {{role: [r]}}\n")
    good, other = provider.token(role="r"), provider.token(role="s")
    assert [request_.send(client, token) in REFUSED for token in (good, other, "", "junk")] == [False, True, True, True]
    for elsewhere in REQUESTS:
        if elsewhere != request_:
            assert elsewhere.send(client, good) == 401


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_tokens_of_the_server_keep_their_scopes_with_a_policy(
    client: Client, secrets: dict[str, str], set_policy: SetPolicy, request_: Request
) -> None:
    set_policy("- path: /none\n  claims: {a: [b]}")
    needed = "flows:read" if request_.needed == OPEN else request_.needed
    assert request_.send(client, secrets[needed]) not in REFUSED
    assert request_.send(client, "flyte_junk") == 401
    assert request_.send(client) == 401


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_without_tokens_every_request_is_allowed_except_from_other_sites(client: Client, request_: Request) -> None:
    register_pack("x")
    assert request_.send(client) not in REFUSED
    assert request_.send(client, "junk") not in REFUSED
    refused = request_.method != "GET"
    assert (request_.send(client, **{"sec-fetch-site": "cross-site"}) == 403) == refused
    assert (request_.send(client, origin="https://evil.example.org") == 403) == refused
    assert (request_.send(client, host="evil.example.org") == 403) == (not request_.path.startswith("/health"))


def test_head_needs_what_get_needs_and_options_needs_nothing(client: Client, secrets: dict[str, str]) -> None:
    bearer = {"authorization": f"Bearer {secrets['flows:read']}"}
    assert client.head("/v1/flows", headers=bearer).status_code == 200
    assert client.head("/v1/flows").status_code == 401
    assert client.head("/v1/packs", headers=bearer).status_code == 403
    assert client.options("/v1/flows").status_code == 200


def test_unknown_paths_and_methods_need_a_valid_token_too(client: Client, secrets: dict[str, str]) -> None:
    bearer = {"authorization": f"Bearer {secrets['flows:read']}"}
    for path in ("/nope", "/v1/", "/v1/flows/a/b", "//v1/flows", "/v1/flows/"):
        assert problem(client.get(path), 401)
        assert problem(client.get(path, headers=bearer), 404)
    assert problem(client.put("/v1/flows", headers=bearer), 403)


def test_the_policy_does_not_apply_to_the_console_and_its_files(
    client: Client, settings: LazySettings, set_policy: SetPolicy
) -> None:
    set_policy("- path: /none\n  claims: {a: [b]}")
    for path in ("/admin", "/admin/", "/admin/flows/", "/static/nope"):
        assert client.get(path).status_code != 401, path
    for path in ("/administer", "/admin.", "/Admin/", "/v1/admin/", "/static"):
        assert client.get(path).status_code == 401, path


def test_challenges_are_the_originals(client: Client, secrets: dict[str, str]) -> None:
    realm = 'Bearer realm="token"'
    sent = {"": realm, "Basic eDp4": f'{realm}, error="invalid_token"', "Bearer": f'{realm}, error="invalid_token"'}
    for authorization, challenge in {**sent, "Bearer x": f'{realm}, error="invalid_token"'}.items():
        response = client.get("/v1/flows", headers={"authorization": authorization})
        assert problem(response, 401)
        assert response.headers["WWW-Authenticate"] == challenge
    lacking = client.get("/v1/flows", headers={"authorization": f"bearer {secrets['packs:read']}"})
    assert problem(lacking, 403)["detail"] == "token 'packs:read' is not allowed to do this; required scope: flows:read"
    assert lacking.headers["WWW-Authenticate"] == f'{realm}, error="insufficient_scope"'


def test_an_unavailable_database_is_503_during_authentication_too(
    client: Client, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("server closed")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", away)
    response = client.get("/v1/flows", headers={"authorization": f"Bearer {secrets['flows:read']}"})
    assert problem(response, 503)
    assert response.headers["Retry-After"] == "5"


def test_an_unavailable_provider_is_503(client: Client, provider: Provider, set_policy: SetPolicy) -> None:
    set_policy("- path: /v1/flows\n  claims: {role: [r]}\n- path: /v1")
    provider.status = 500
    response = client.get("/v1/flows", headers={"authorization": f"Bearer {provider.token()}"})
    assert problem(response, 503)["detail"] == "the identity provider does not answer"
    assert response.headers["Retry-After"] == "5"
    assert client.get("/v1").status_code == 200
    assert client.get("/v1/flows").status_code == 401


def test_a_policy_compares_the_unescaped_name_in_the_path(
    client: Client, provider: Provider, set_policy: SetPolicy
) -> None:
    set_policy("- path: /v1/packs/:pack\n  claims: {pack: [':pack']}")
    # flyte_site.wsgi passes %2F and %25 on in escaped form.
    for path, name in (("/v1/packs/A%252Fb", "A/b"), ("/v1/packs/50%2525", "50%"), ("/v1/packs/%C3%A4", "ä")):
        good, other = provider.token(pack=name), provider.token(pack=path.rpartition("/")[2])
        assert client.get(path, headers={"authorization": good}).status_code == 404
        assert client.get(path, headers={"authorization": other}).status_code == 401


@pytest.mark.parametrize(("mode", "reads"), [("none", 0), ("tokens", 1)])
def test_authentication_needs_no_query_without_tokens_and_one_with_them(
    client: Client, settings: LazySettings, mode: str, reads: int, django_assert_num_queries: Any
) -> None:
    settings.FLYTE_AUTH = mode
    bearer = {"authorization": f"Bearer {tokens.create_token(COMMAND_LINE_ACTOR, 'reader', scopes=['flows:read'])[1]}"}
    client.get("/v1/flows", headers=bearer)
    with django_assert_num_queries(1 + reads):
        assert client.get("/v1/flows", headers=bearer).status_code == 200
