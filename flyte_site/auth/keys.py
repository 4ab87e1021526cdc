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

from flyte_site.auth.fetching import FAILURES, Errand

log = structlog.get_logger(__name__)

# After this time the keys are asked for again, so that one the provider has withdrawn does not count for long.
FRESH_SECONDS = 600.0
COOL_DOWN_SECONDS = 10.0
MAX_KEYS = 100
LEAST_RSA_BITS = 2048

# Which signatures count (RFC 7518, RFC 8037), by the kind of key that they need: never `none`, never a shared secret.
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
BY_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA",), "Ed448": ("EdDSA",)}
ALGORITHMS = (*RSA, *(name for names in BY_CURVE.values() for name in names))


class ProviderAwayError(Exception):
    """The provider gives no keys now, so that nobody can tell whether a token is good."""


@dataclass(frozen=True)
class Key:
    """A public key, and the algorithms that it may check."""

    kid: str | None
    algorithms: tuple[str, ...]
    value: Any


class Keys:
    """The keys of one issuer. Shared by the threads of a process."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._lock = threading.Lock()
        self._keys: tuple[Key, ...] = ()
        self._fetched_at = self._tried_at = float("-inf")

    def find(self, kid: str | None, algorithm: str, *, unlike: tuple[Key, ...] = ()) -> tuple[Key, ...]:
        """The keys that may have made such a signature; without a `kid` every one that can.

        Where there is none, or only `unlike` ones that did not, the provider is asked, unless it has just been asked.
        Raises `ProviderAwayError`.
        """
        found = self._fitting(kid, algorithm)
        if found and found != unlike and self._is_fresh():
            return found
        if found and found != unlike:
            self._fetch_if_nobody_does()
        else:
            self._fetch_or_wait()
        found = self._fitting(kid, algorithm)
        if not found and self._fetched_at < self._tried_at:
            raise ProviderAwayError(self.issuer)
        return found

    def _fitting(self, kid: str | None, algorithm: str) -> tuple[Key, ...]:
        return tuple(key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid))

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._fetched_at < FRESH_SECONDS

    def _fetch_if_nobody_does(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._fetch()
            finally:
                self._lock.release()

    def _fetch_or_wait(self) -> None:
        """Who comes while somebody asks gets what that one finds."""
        with self._lock:
            self._fetch()

    def _fetch(self) -> None:
        now = time.monotonic()
        if now - self._tried_at < COOL_DOWN_SECONDS:
            return
        self._tried_at = now
        try:
            self._keys = fetched_keys(self.issuer)
            self._fetched_at = now
            log.info("keys_fetched", issuer=self.issuer, keys=len(self._keys))
        except FAILURES as error:
            log.error("keys_not_fetched", issuer=self.issuer, error=f"{type(error).__name__}: {error}"[:300])


def fetched_keys(issuer: str) -> tuple[Key, ...]:
    """The keys that the issuer publishes now (OpenID Connect Discovery 1.0, 4). Raises one of `FAILURES`."""
    with Errand() as errand:
        address = errand.discovered(issuer).get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", urlsplit(issuer).scheme):
            raise ValueError("the provider names no address of its keys that is as safe as its own")
        found = errand.json_object("GET", address).get("keys")
    if not isinstance(found, list):
        raise ValueError("the provider has no list of keys")
    return tuple(key for one in found[:MAX_KEYS] if (key := read_key(one)) is not None)


def read_key(jwk: Any) -> Key | None:
    """A published key as one that can check signatures; None for what is for something else, weak or broken."""
    algorithms = _algorithms(jwk) if isinstance(jwk, dict) else ()
    if not algorithms:
        return None
    try:
        value = jwt.PyJWK(JWKDict(jwk), algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithms[0] in RSA and value.key_size < LEAST_RSA_BITS:
        return None
    kid = jwk.get("kid")
    return Key(kid if isinstance(kid, str) else None, algorithms, value)


def _algorithms(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return ()
    possible = RSA if jwk.get("kty") == "RSA" else BY_CURVE.get(str(jwk.get("crv")), ())
    named = jwk.get("alg")
    return possible if named is None else tuple(name for name in possible if name == named)
