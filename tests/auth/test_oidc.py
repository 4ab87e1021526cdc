"""Tokens of a provider: valid and invalid ones, and requests for the provider's keys."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from oidc_provider_mock import run_server_in_thread  # type: ignore[import-untyped]

from flyte_site.auth.oidc import jwks, provider_client
from flyte_site.auth.oidc.jwks import (
    ALGORITHMS,
    CACHE_SECONDS,
    MIN_REFETCH_SECONDS,
    ProviderUnavailableError,
    parse_jwk,
)
from flyte_site.auth.oidc.token_validation import (
    LEEWAY_SECONDS,
    InvalidTokenError,
    principal_from_claims,
    validate_token,
)
from tests.auth.provider import (
    AUDIENCE,
    DISCOVERY,
    KEYS,
    Provider,
    kind_for,
    private_key,
    public_jwk,
    public_pem,
    running_provider,
    unsigned,
)

pytestmark = pytest.mark.integration


class KeyClock:
    """A clock for the age of keys that only tests advance."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> KeyClock:
    key_clock = KeyClock()
    monkeypatch.setattr(jwks, "time", key_clock)
    return key_clock


def claims(provider: Provider, token: str) -> dict[str, Any]:
    return validate_token(token, provider.issuer, AUDIENCE)


def is_refused(provider: Provider, token: str) -> bool:
    try:
        claims(provider, token)
    except InvalidTokenError:
        return True
    return False


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_with_a_public_key_is_accepted(provider: Provider, algorithm: str) -> None:
    provider.keys.clear()
    provider.publish("k", kind_for(algorithm))
    assert claims(provider, provider.token("k", algorithm, role="dev"))["role"] == "dev"
    assert is_refused(provider, provider.token("k", algorithm, number=1))


NOW = int(time.time())
HOUR = 3600


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"exp": NOW - HOUR}, id="expired"),
        pytest.param({"exp": NOW - LEEWAY_SECONDS - 1}, id="expired just before the leeway"),
        {"exp": None},
        {"exp": "tomorrow"},
        pytest.param({"exp": str(NOW + HOUR)}, id="text as expiry"),
        {"exp": True},
        pytest.param({"exp": [NOW + HOUR]}, id="a list as expiry"),
        pytest.param({"nbf": NOW + HOUR}, id="not valid yet"),
        {"nbf": "now"},
        {"nbf": "1"},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": [AUDIENCE, 1]},
        {"aud": {AUDIENCE: 1}},
        {"iss": "http://evil/dex"},
        {"iss": None},
        {"sub": 5},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_is_refused(provider: Provider, wrong: dict[str, Any]) -> None:
    assert is_refused(provider, provider.token(**wrong))


def test_the_issuer_must_be_identical(provider: Provider) -> None:
    assert is_refused(provider, provider.token(iss=provider.issuer + "/"))


@pytest.mark.parametrize(
    "fine",
    [
        {"aud": ["other", AUDIENCE]},
        pytest.param({"iat": NOW + HOUR}, id="issued in an hour"),
        {"iat": None},
        {"sub": None},
        {"jti": 5},
    ],
    ids=str,
)
def test_other_claims_do_not_matter(provider: Provider, fine: dict[str, Any]) -> None:
    assert claims(provider, provider.token(**fine))


def test_small_clock_differences_do_not_matter(provider: Provider) -> None:
    now = time.time()
    assert claims(provider, provider.token(exp=now - LEEWAY_SECONDS // 2, nbf=now + LEEWAY_SECONDS // 2))
    for wrong in (provider.token(exp=now - 90), provider.token(nbf=now + 90)):
        with pytest.raises(InvalidTokenError):
            validate_token(wrong, provider.issuer, AUDIENCE)


def test_the_public_key_is_not_accepted_as_a_secret(provider: Provider) -> None:
    key = private_key("RSA")
    for secret in (public_pem(key), json.dumps(public_jwk(key, "k1")).encode()):
        for algorithm in ("HS256", "HS384", "HS512"):
            maker = jwt.algorithms.get_default_algorithms()[algorithm]
            head = unsigned(provider.claims(), algorithm, kid="k1").rpartition(".")[0]
            signature = maker.sign(head.encode(), secret)
            token = unsigned(provider.claims(), algorithm, signature, kid="k1")
            assert is_refused(provider, token)
    assert not provider.requests


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256", "ES256K", "RS1", "dir", None, 5, ["RS256"]])
def test_other_algorithms_are_refused_without_a_request_to_the_provider(provider: Provider, algorithm: Any) -> None:
    for signature in (b"", b"x" * 256):
        assert is_refused(provider, unsigned(provider.claims(), algorithm, signature, kid="k1"))
    assert not provider.requests


@pytest.mark.parametrize("header", [{"kid": 5}, {"crit": ["exp"]}, {"crit": ["x"], "x": 1}, {"b64": False}])
def test_invalid_headers_are_refused(provider: Provider, header: dict[str, Any]) -> None:
    key = private_key("RSA")
    head = unsigned(provider.claims(), "RS256", **{"kid": "k1", **header}).rpartition(".")[0]
    signature = jwt.algorithms.get_default_algorithms()["RS256"].sign(head.encode(), key)
    assert is_refused(provider, unsigned(provider.claims(), "RS256", signature, **{"kid": "k1", **header}))


@pytest.mark.parametrize("token", ["", "junk", "a.b", "a.b.c", "....", "é.é.é", "eyJhbGciOiJSUzI1NiJ9..", "x" * 8000])
def test_junk_is_refused(provider: Provider, token: str) -> None:
    assert is_refused(provider, token)


def test_the_signature_of_another_token_is_refused(provider: Provider) -> None:
    token, other = provider.token(role="dev"), provider.token(role="admin")
    assert is_refused(provider, token.rpartition(".")[0] + "." + other.rpartition(".")[2])


def test_a_key_is_used_only_for_its_published_purpose(provider: Provider) -> None:
    provider.keys.clear()
    provider.publish("only", alg="RS256")
    provider.publish("encrypts", number=1, use="enc")
    provider.publish("signs", number=2, key_ops=["sign"])
    assert claims(provider, provider.token("only"))
    assert is_refused(provider, provider.token("only", "RS512"))
    assert is_refused(provider, provider.token("encrypts", number=1))
    assert is_refused(provider, provider.token("signs", number=2))


@pytest.mark.parametrize(
    "jwk",
    [
        5,
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "k1"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "RSA", "kid": "k1"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": 5},
        pytest.param(public_jwk(private_key("RSA1024"), "weak"), id="a weak RSA key"),
    ],
    ids=str,
)
def test_a_published_key_that_is_weak_secret_or_broken_is_ignored(provider: Provider, jwk: Any) -> None:
    assert parse_jwk(jwk) is None
    provider.keys.insert(0, jwk)
    assert claims(provider, provider.token())


def test_a_token_without_a_key_id_is_tried_with_every_key(provider: Provider) -> None:
    provider.publish("k2", number=1)
    assert claims(provider, provider.token(None, number=1))
    assert is_refused(provider, provider.token("k1", number=1))


def test_keys_are_fetched_once_and_used_many_times(provider: Provider) -> None:
    assert not provider.requests
    for _ in range(5):
        claims(provider, provider.token())
    assert provider.requests == {DISCOVERY: 1, KEYS: 1}


def test_a_new_key_is_fetched_after_the_cool_down(provider: Provider, clock: KeyClock) -> None:
    claims(provider, provider.token())
    provider.publish("k2", number=1)
    assert is_refused(provider, provider.token("k2", number=1))
    clock.seconds += MIN_REFETCH_SECONDS
    assert claims(provider, provider.token("k2", number=1))
    assert claims(provider, provider.token())


def test_a_new_key_with_an_old_id_is_fetched_too(provider: Provider, clock: KeyClock) -> None:
    claims(provider, provider.token())
    provider.keys.clear()
    provider.publish("k1", number=1)
    clock.seconds += MIN_REFETCH_SECONDS
    assert claims(provider, provider.token(number=1))
    assert is_refused(provider, provider.token())


def test_a_withdrawn_key_is_accepted_until_the_cache_expires(provider: Provider, clock: KeyClock) -> None:
    claims(provider, provider.token())
    provider.keys.clear()
    provider.publish("k2", number=1)
    assert claims(provider, provider.token())
    clock.seconds += CACHE_SECONDS
    assert is_refused(provider, provider.token())


def test_many_unknown_keys_cause_one_fetch_in_each_cool_down(provider: Provider, clock: KeyClock) -> None:
    claims(provider, provider.token())
    for number in range(3):
        clock.seconds += MIN_REFETCH_SECONDS
        with ThreadPoolExecutor(8) as pool:
            tokens = [provider.token(f"made up {key}") for key in range(40)]
            assert all(pool.map(lambda token: is_refused(provider, token), tokens))
            assert claims(provider, provider.token())
        assert provider.requests == {DISCOVERY: number + 2, KEYS: number + 2}


def test_wrong_signatures_cause_one_fetch_in_each_cool_down_too(provider: Provider, clock: KeyClock) -> None:
    for _ in range(20):
        assert is_refused(provider, provider.token(number=1))
    clock.seconds += MIN_REFETCH_SECONDS
    for _ in range(20):
        assert is_refused(provider, provider.token(number=1))
    assert provider.requests[KEYS] == 2


def test_concurrent_requests_at_the_start_share_one_fetch(provider: Provider) -> None:
    provider.delay = 0.2
    with ThreadPoolExecutor(8) as pool:
        validated = list(pool.map(lambda _: claims(provider, provider.token()), range(16)))
    assert len(validated) == 16
    assert provider.requests[KEYS] == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 302},
        {"body": b"no json"},
        {"body": b"[]"},
        {"body": b'{"keys": {}}'},
        {"body": b"[" * 100_000},
        {"body": b'{"keys": [], "x": "' + b"x" * provider_client.MAX_RESPONSE_BYTES + b'"}'},
        {"discovery": {"issuer": "http://evil"}},
        {"discovery": {"jwks_uri": "file:///etc/passwd"}},
        {"discovery": {"jwks_uri": None}},
        {"discovery": {"jwks_uri": "http://[bad"}},
    ],
    ids=lambda fault: str(fault)[:50],
)
def test_a_provider_without_keys_is_unavailable_and_cached_keys_stay_valid(
    provider: Provider, clock: KeyClock, fault: dict[str, Any]
) -> None:
    good = provider.status, provider.body, provider.discovery
    for name, value in fault.items():
        setattr(provider, name, value)
    with pytest.raises(ProviderUnavailableError):
        claims(provider, provider.token())
    provider.status, provider.body, provider.discovery = good
    clock.seconds += MIN_REFETCH_SECONDS
    claims(provider, provider.token())
    for name, value in fault.items():
        setattr(provider, name, value)
    clock.seconds += CACHE_SECONDS
    assert claims(provider, provider.token())
    with pytest.raises(ProviderUnavailableError):
        claims(provider, provider.token("new", number=1))
    assert is_refused(provider, provider.token(exp=NOW - HOUR))


def test_a_provider_that_starts_late_is_used_after_the_cool_down(clock: KeyClock, provider: Provider) -> None:
    with running_provider() as other:
        other.publish()
        port = int(other.issuer.rpartition(":")[2].split("/")[0])
    with pytest.raises(ProviderUnavailableError):
        claims(other, other.token())
    with running_provider(port, other):
        with pytest.raises(ProviderUnavailableError):
            claims(other, other.token())
        clock.seconds += MIN_REFETCH_SECONDS
        assert claims(other, other.token())


def test_a_slow_provider_is_unavailable(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_client, "NETWORK_TIMEOUT_SECONDS", 0.05)
    provider.delay = 1.0
    with pytest.raises(ProviderUnavailableError):
        claims(provider, provider.token())


def test_no_request_waits_while_another_renews_stale_keys(provider: Provider, clock: KeyClock) -> None:
    claims(provider, provider.token())
    clock.seconds += CACHE_SECONDS
    entered, released, answer = threading.Event(), threading.Event(), provider.answer

    def slow(path: str) -> tuple[int, bytes]:
        entered.set()
        released.wait(30)
        return answer(path)

    provider.answer = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(claims, provider, provider.token())
        assert entered.wait(30)
        assert claims(provider, provider.token())
        assert not first.done()
        released.set()
        assert first.result(30)


@pytest.mark.parametrize(
    ("token_claims", "actor"),
    [
        ({"sub": "s"}, "oidc s"),
        ({"sub": "s", "email": "ana@example.org", "name": "Ana"}, "oidc s (ana@example.org)"),
        ({"sub": "s", "email": 5, "name": "Ana"}, "oidc s (Ana)"),
        ({"sub": "s", "name": "line\nbreak"}, "oidc s"),
        ({"sub": "s", "name": "line\u2028break"}, "oidc s"),
        ({"sub": "s", "name": "山田\u3000太郎 👩\u200d💻"}, "oidc s (山田\u3000太郎 👩\u200d💻)"),
        ({}, "oidc"),
        ({"sub": "x" * 1000}, "oidc " + "x" * 250),
    ],
)
def test_the_actor_name_is_the_subject_with_email_or_name(token_claims: dict[str, Any], actor: str) -> None:
    assert principal_from_claims(token_claims).actor_name == actor


def test_a_provider_of_another_project_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with run_server_in_thread(port=0) as server:
        base = f"http://localhost:{server.server_port}"
        with httpx.Client(base_url=base, trust_env=False) as client:
            issuer = client.get("/.well-known/openid-configuration").json()["issuer"]
            token = sign_in(client, "ana@example.org")
        token_claims = validate_token(token, issuer, AUDIENCE)
        assert (token_claims["sub"], token_claims["aud"]) == ("ana@example.org", [AUDIENCE])
        with pytest.raises(InvalidTokenError):
            validate_token(token, issuer, "another-app")


def sign_in(client: httpx.Client, subject: str) -> str:
    """Sign in at the provider, and return the ID token (OpenID Connect Core 1.0, 3.1)."""
    back = "http://127.0.0.1/back"
    query = {"client_id": AUDIENCE, "redirect_uri": back, "response_type": "code", "scope": "openid", "state": "x"}
    sent_back = client.post("/oauth2/authorize", params=query, data={"sub": subject})
    code = parse_qs(urlsplit(sent_back.headers["Location"]).query)["code"][0]
    answer = client.post(
        "/oauth2/token",
        data={"grant_type": "authorization_code", "code": code, "redirect_uri": back},
        auth=(AUDIENCE, "secret"),
    )
    token: str = answer.json()["id_token"]
    return token
