"""Tokens of the identity provider: JSON Web Tokens as OpenID Connect has them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jwt

from flyte_site.auth.oidc.jwks import ALGORITHMS, JWKSCache, SigningKey
from flyte_site.auth.principals import Principal

# How far the provider's clock and ours may be apart, in seconds.
LEEWAY_SECONDS = 60
MAX_TRIED_KEYS = 10


class InvalidTokenError(Exception):
    """The token does not count; the message is for the log."""


@lru_cache(maxsize=4)
def get_jwks_cache(issuer: str) -> JWKSCache:
    """The one store of this issuer's keys in this process."""
    return JWKSCache(issuer)


def validate_token(token: str, issuer: str, audience: str) -> dict[str, Any]:
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
    jwks_cache = get_jwks_cache(issuer)
    keys = jwks_cache.find(kid, algorithm)
    claims = _decode_with_any_key(token, keys, algorithm, issuer, audience)
    if claims is None:
        # A provider may have made a new key under an old name.
        claims = _decode_with_any_key(
            token, jwks_cache.find(kid, algorithm, rejected=keys), algorithm, issuer, audience
        )
    if claims is None:
        raise InvalidTokenError("no key of the provider has signed it")
    return claims


def _decode_with_any_key(
    token: str, keys: tuple[SigningKey, ...], algorithm: str, issuer: str, audience: str
) -> dict[str, Any] | None:
    """The claims if one of the keys signed the token, None if none did. Raises `InvalidTokenError`."""
    for key in keys[:MAX_TRIED_KEYS]:
        try:
            return jwt.decode(
                token,
                key.public_key,
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


def principal_from_claims(claims: Mapping[str, Any]) -> Principal:
    """Who sends a request with these claims: the subject, with an e-mail address or name that people know it by."""
    display_name = next(
        (claims[key] for key in ("email", "preferred_username", "name") if _is_printable_text(claims.get(key))), ""
    )
    subject = claims.get("sub", "")
    return Principal("oidc", f"{subject} ({display_name})" if display_name else str(subject))


def _is_printable_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()
