"""The identity provider's public keys, from its discovery document, with a cache that is refreshed when keys change.

However many requests have unknown keys, a process asks the provider at most once every `MIN_REFETCH_SECONDS`. While
the provider is unavailable, cached keys stay valid.
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

# Keys are fetched again after this time, so that a key that the provider has withdrawn soon becomes invalid.
CACHE_SECONDS = 600.0
MIN_REFETCH_SECONDS = 10.0
MAX_KEYS = 100
MIN_RSA_BITS = 2048

# Accepted signature algorithms (RFC 7518, RFC 8037) by type of key: never `none`, never a shared secret.
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
    """The provider is unavailable, so tokens can't be validated."""


@dataclass(frozen=True)
class SigningKey:
    """A public key and the algorithms whose signatures it can verify."""

    kid: str | None
    algorithms: tuple[str, ...]
    public_key: Any


class JWKSCache:
    """The keys of one issuer, shared by the threads of a process."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")

    def find(self, kid: str | None, algorithm: str, *, rejected: tuple[SigningKey, ...] = ()) -> tuple[SigningKey, ...]:
        """Return the keys that can verify this signature; without a `kid`, all keys for the algorithm.

        If no key matches, or only `rejected` keys do, fetch the keys again, unless they have just been fetched.
        Raises `ProviderUnavailableError`.
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
        """Fetch the keys; callers that waited for the lock use the result of the thread that held it."""
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
    """Fetch the issuer's keys (OpenID Connect Discovery 1.0, 4). Raises one of `PROVIDER_ERRORS`."""
    with ProviderClient() as client:
        jwks_uri = client.fetch_discovery_document(issuer).get("jwks_uri")
        if not isinstance(jwks_uri, str) or urlsplit(jwks_uri).scheme not in ("https", urlsplit(issuer).scheme):
            schemes = " or ".join(dict.fromkeys(("https", urlsplit(issuer).scheme)))
            raise ValueError(f"discovery document: jwks_uri must be a URL with scheme {schemes}")
        jwks = client.request_json("GET", jwks_uri).get("keys")
    if not isinstance(jwks, list):
        raise ValueError(f"{jwks_uri}: keys must be a list")
    return tuple(key for jwk in jwks[:MAX_KEYS] if (key := parse_jwk(jwk)) is not None)


def parse_jwk(jwk: Any) -> SigningKey | None:
    """Parse a published key; None if it is invalid, too weak or not meant for signatures."""
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
