"""Tokens of this server for packs and users, with or without an identity provider.

A token is `flyte_` and 256 random bits. It is shown once. Only its SHA-256 is stored, which needs no salt and no slow
hash, because 256 random bits can't be guessed.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from flyte_formats.characters import has_control_characters
from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.auth.principals import Principal
from flyte_site.auth.scopes import AS_PACK, OPEN, SCOPES
from flyte_site.models import Token

log = structlog.get_logger(__name__)

TOKEN_PREFIX = "flyte_"  # noqa: S105 - the same for every token
VISIBLE_LENGTH = len(TOKEN_PREFIX) + 6
# The least time between two updates of `last_used_at`, so that most polls write nothing.
LAST_USED_RESOLUTION = timedelta(minutes=5)
MAX_NAME_LENGTH = 100
MAX_PACK_PATTERN_LENGTH = 255


class TokenError(ValueError):
    """Invalid fields of a new token; the message says why."""


def create_token(
    actor: Actor,
    name: str,
    *,
    pack: str = "",
    labels: Mapping[str, str] | None = None,
    scopes: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Create a token; return it with its secret, which can't be shown again. Raises `TokenError`.

    With `pack` it may act as packs of that name (`*` matches any text) that have at least these labels.
    """
    scope_names = sorted(set(scopes))
    _validate(name, pack, dict(labels or {}), scope_names, expires_at)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            token = Token.objects.create(
                name=name,
                digest=hash_secret(secret),
                shown=secret[:VISIBLE_LENGTH],
                pack=pack,
                labels=dict(labels or {}),
                scopes=scope_names,
                expires_at=expires_at,
            )
            log_activity(actor, "created", "token", name, pack=pack, labels=token.labels, scopes=scope_names)
    except IntegrityError:
        raise TokenError(f"token {name!r} already exists or was revoked; choose a different name") from None
    log.info("token_created", token=name)
    return token, secret


def _validate(name: str, pack: str, labels: dict[str, str], scopes: list[str], expires_at: datetime | None) -> None:
    if not name or len(name) > MAX_NAME_LENGTH or has_control_characters(name):
        raise TokenError(
            f"invalid token name {name[:MAX_NAME_LENGTH]!r}: 1 to {MAX_NAME_LENGTH} printable characters required"
        )
    if len(pack) > MAX_PACK_PATTERN_LENGTH:
        raise TokenError(f"pack name of {len(pack)} characters exceeds the limit of {MAX_PACK_PATTERN_LENGTH}")
    if labels and not pack:
        raise TokenError("labels require a pack: they limit the packs that the token can act as")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise TokenError(f"unknown scope {unknown[0]!r}; use one of: {', '.join(SCOPES)}")
    if not pack and not scopes:
        raise TokenError("choose a pack or at least one scope; without either, the token allows nothing")
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenError("expiry time must be in the future")


def revoke_token(actor: Actor, name: str) -> bool:
    """Revoke the token; return False if no unrevoked token has this name."""
    with transaction.atomic():
        changed = Token.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            log_activity(actor, "revoked", "token", name)
    if changed:
        log.info("token_revoked", token=name)
    return bool(changed)


def list_tokens() -> QuerySet[Token]:
    """All tokens by name, including expired and revoked tokens."""
    return Token.objects.order_by("name")


def find_token(secret: str) -> Token | None:
    """Find the usable token with this secret and record its use. Costs one indexed read."""
    now = timezone.now()
    token = Token.objects.filter(digest=hash_secret(secret)).first()
    if token is None or not token.is_usable(now):
        return None
    if token.last_used_at is None or token.last_used_at <= now - LAST_USED_RESOLUTION:
        is_stale = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_RESOLUTION)
        Token.objects.filter(is_stale, pk=token.pk).update(last_used_at=now)
    return token


def token_allows(token: Token, required_scope: str | None) -> bool:
    """Return True if the token allows requests that require this (see `scopes.get_required_scope`)."""
    if required_scope == AS_PACK:
        return bool(token.pack)
    return required_scope == OPEN or required_scope in token.scopes


def hash_secret(secret: str) -> str:
    """Return the digest that is stored instead of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def principal_from_token(token: Token) -> Principal:
    """Return the principal of requests with this token."""
    return Principal("token", token.name, token.pack, token.labels)
