"""Tokens of the identity provider: JSON Web Tokens as OpenID Connect has them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt

from flyte_site.auth.callers import Caller
from flyte_site.auth.keys import ALGORITHMS, Key, Keys

# How far the provider's clock and ours may be apart, in seconds.
LEEWAY_SECONDS = 60
MAX_TRIED_KEYS = 10


class InvalidTokenError(Exception):
    """The token does not count; the message is for the log."""


@lru_cache(maxsize=4)
def keys_of(issuer: str) -> Keys:
    """The one store of this issuer's keys in this process."""
    return Keys(issuer)


def claims_of(token: str, issuer: str, audience: str) -> dict[str, Any]:
    """The claims of a token that this issuer made for this audience, and that counts now.

    Raises `InvalidTokenError`, and `ProviderAwayError` where that can't be told now.
    """
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise InvalidTokenError(str(error)) from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise InvalidTokenError("its algorithm does not count here")
    store = keys_of(issuer)
    tried = store.find(kid, algorithm)
    claims = _checked(token, tried, algorithm, issuer, audience)
    if claims is None:
        # A provider may have made a new key under an old name.
        claims = _checked(token, store.find(kid, algorithm, unlike=tried), algorithm, issuer, audience)
    if claims is None:
        raise InvalidTokenError("no key of the provider has signed it")
    return claims


def _checked(token: str, keys: tuple[Key, ...], algorithm: str, issuer: str, audience: str) -> dict[str, Any] | None:
    """The claims if one of the keys signed the token, None if none did. Raises `InvalidTokenError`."""
    for key in keys[:MAX_TRIED_KEYS]:
        try:
            return jwt.decode(
                token,
                key.value,
                algorithms=[algorithm],
                audience=audience,
                issuer=issuer,
                leeway=LEEWAY_SECONDS,
                options={
                    "verify_signature": True,
                    "require": ["iss", "aud", "exp"],
                    "verify_iss": True,
                    "verify_aud": True,
                    "strict_aud": False,  # it may be one of several
                    "verify_exp": True,
                    "verify_nbf": True,
                    "verify_iat": False,  # tells when it was made, and forbids nothing (RFC 7519, 4.1.6)
                    "verify_sub": True,
                    "verify_jti": False,  # is not looked at: a token may be sent as often as one likes
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise InvalidTokenError(str(error)) from None
    return None


def as_caller(claims: Mapping[str, Any]) -> Caller:
    """Who sends a request with these claims: the subject, with an e-mail address or name that people know it by."""
    known = next((claims[key] for key in ("email", "preferred_username", "name") if _is_text(claims.get(key))), "")
    subject = claims.get("sub", "")
    return Caller("oidc", f"{subject} ({known})" if known else str(subject))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()
