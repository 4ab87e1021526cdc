"""Validation of the identity provider's tokens: JSON Web Tokens as in OpenID Connect."""

from collections.abc import Mapping
from typing import Any

import jwt

from flyte_formats.characters import has_control_characters
from flyte_site.auth.oidc.jwks import ALGORITHMS, JWKSCache, SigningKey
from flyte_site.auth.principals import Principal
from flyte_site.core.runtime import process_wide

# The largest accepted difference between the provider's clock and ours.
LEEWAY_SECONDS = 60
MAX_TRIED_KEYS = 10


class InvalidTokenError(Exception):
    """An invalid token; the message is for the log."""


@process_wide
def get_jwks_cache(issuer: str) -> JWKSCache:
    """Return the key cache of this issuer in this process."""
    return JWKSCache(issuer)


def validate_token(token: str, issuer: str, audience: str) -> dict[str, Any]:
    """Validate a token of this issuer for this audience; return its claims.

    Raises `InvalidTokenError`, and `ProviderUnavailableError` if the keys can't be fetched.
    """
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise InvalidTokenError(str(error)) from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise InvalidTokenError(f"algorithm {str(algorithm)[:20]!r} is not allowed")
    jwks_cache = get_jwks_cache(issuer)
    keys = jwks_cache.find(kid, algorithm)
    claims = _decode_with_any_key(token, keys, algorithm, issuer, audience)
    if claims is None:
        # The provider may have replaced a key under the same `kid`.
        claims = _decode_with_any_key(
            token, jwks_cache.find(kid, algorithm, rejected=keys), algorithm, issuer, audience
        )
    if claims is None:
        raise InvalidTokenError("not signed by a key of the provider")
    return claims


def _decode_with_any_key(
    token: str, keys: tuple[SigningKey, ...], algorithm: str, issuer: str, audience: str
) -> dict[str, Any] | None:
    """Return the claims if one of the keys signed the token, None if none did. Raises `InvalidTokenError`."""
    for key in keys[:MAX_TRIED_KEYS]:
        try:
            claims: dict[str, Any] = jwt.decode(
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
                    "verify_iat": False,  # the age of a token does not make it invalid (RFC 7519, 4.1.6)
                    "verify_sub": True,
                    "verify_jti": False,  # a token may be used any number of times
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise InvalidTokenError(str(error)) from None
        _require_numeric_dates(claims)
        return claims
    return None


def _require_numeric_dates(claims: Mapping[str, Any]) -> None:
    """Require times to be numbers (RFC 7519, 2); the library also accepts text. Raises `InvalidTokenError`."""
    for name in ("exp", "nbf"):
        value = claims.get(name)
        if name in claims and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidTokenError(f"claim {name} must be a number, not {type(value).__name__}")


def principal_from_claims(claims: Mapping[str, Any]) -> Principal:
    """Return the principal of requests with these claims: the subject, with an email address or name for people."""
    display_name = next(
        (claims[key] for key in ("email", "preferred_username", "name") if _is_single_line(claims.get(key))), ""
    )
    subject = claims.get("sub", "")
    return Principal("oidc", f"{subject} ({display_name})" if display_name else str(subject))


def _is_single_line(value: object) -> bool:
    return isinstance(value, str) and value != "" and not has_control_characters(value)
