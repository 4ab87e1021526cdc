"""The public keys of the identity provider: found by discovery, kept for a while, fetched anew when they change.

However many requests come with keys that nobody knows, a process asks the provider at most once in `COOL_DOWN_SECONDS`.
While the provider is away, the keys that are known go on counting.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from jwt.types import JWKDict

from flyte_site.auth.oidc.provider_client import PROVIDER_ERRORS, ProviderClient

log = structlog.get_logger(__name__)

# After this time the keys are asked for again, so that one the provider has withdrawn does not count for long.
CACHE_SECONDS = 600.0
MIN_REFETCH_SECONDS = 10.0
MAX_KEYS = 100
MIN_RSA_BITS = 2048

# Which signatures count (RFC 7518, RFC 8037), by the kind of key that they need: never `none`, never a shared secret.
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS_BY_CURVE = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "Ed448": ("EdDSA",),
}
ALGORITHMS = (*RSA_ALGORITHMS, *(name for names in ALGORITHMS_BY_CURVE.values() for name in names))


class ProviderUnavailableError(Exception):
    """The provider gives no keys now, so that nobody can tell whether a token is good."""


@dataclass(frozen=True)
class SigningKey:
    """A public key, and the algorithms that it may check."""

    kid: str | None
    algorithms: tuple[str, ...]
    public_key: Any


class JWKSCache:
    """The keys of one issuer. Shared by the threads of a process."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")

    def find(self, kid: str | None, algorithm: str, *, rejected: tuple[SigningKey, ...] = ()) -> tuple[SigningKey, ...]:
        """The keys that may have made such a signature; without a `kid` every one that can.

        Where there is none, or only `unlike` ones that did not, the provider is asked, unless it has just been asked.
        Raises `ProviderAwayError`.
        """
        matching = self._matching(kid, algorithm)
        if matching and matching != rejected and self._is_fresh():
            return matching
        if matching and matching != rejected:
            self._fetch_unless_locked()
        else:
            self._fetch_when_unlocked()
        matching = self._matching(kid, algorithm)
        if not matching and self._fetched_at < self._tried_at:
            raise ProviderUnavailableError(self.issuer)
        return matching

    def _matching(self, kid: str | None, algorithm: str) -> tuple[SigningKey, ...]:
        return tuple(key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid))

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._fetched_at < CACHE_SECONDS

    def _fetch_unless_locked(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._fetch()
            finally:
                self._lock.release()

    def _fetch_when_unlocked(self) -> None:
        """Who comes while somebody asks gets what that one finds."""
        with self._lock:
            self._fetch()

    def _fetch(self) -> None:
        now = time.monotonic()
        if now - self._tried_at < MIN_REFETCH_SECONDS:
            return
        self._tried_at = now
        try:
            self._keys = fetch_keys(self.issuer)
            self._fetched_at = now
            log.info("keys_fetched", issuer=self.issuer, keys=len(self._keys))
        except PROVIDER_ERRORS as error:
            log.error("keys_not_fetched", issuer=self.issuer, error=f"{type(error).__name__}: {error}"[:300])


def fetch_keys(issuer: str) -> tuple[SigningKey, ...]:
    """The keys that the issuer publishes now (OpenID Connect Discovery 1.0, 4). Raises one of `FAILURES`."""
    with ProviderClient() as client:
        jwks_uri = client.fetch_discovery_document(issuer).get("jwks_uri")
        if not isinstance(jwks_uri, str) or urlsplit(jwks_uri).scheme not in ("https", urlsplit(issuer).scheme):
            raise ValueError("the provider names no address of its keys that is as safe as its own")
        jwks = client.request_json("GET", jwks_uri).get("keys")
    if not isinstance(jwks, list):
        raise ValueError("the provider has no list of keys")
    return tuple(key for jwk in jwks[:MAX_KEYS] if (key := parse_jwk(jwk)) is not None)


def parse_jwk(jwk: Any) -> SigningKey | None:
    """A published key as one that can check signatures; None for what is for something else, weak or broken."""
    algorithms = _algorithms_for(jwk) if isinstance(jwk, dict) else ()
    if not algorithms:
        return None
    try:
        value = jwt.PyJWK(JWKDict(jwk), algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithms[0] in RSA_ALGORITHMS and value.key_size < MIN_RSA_BITS:
        return None
    kid = jwk.get("kid")
    return SigningKey(kid if isinstance(kid, str) else None, algorithms, value)


def _algorithms_for(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return ()
    supported = RSA_ALGORITHMS if jwk.get("kty") == "RSA" else ALGORITHMS_BY_CURVE.get(str(jwk.get("crv")), ())
    declared = jwk.get("alg")
    return supported if declared is None else tuple(name for name in supported if name == declared)
