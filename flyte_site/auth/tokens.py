"""Tokens of this server, for packs and people where there is no identity provider, or beside one.

A token is `flyte_` and 256 random bits. It is shown once; kept is its SHA-256, which needs no salt and no slow hash,
since nobody can guess what it was made from.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.auth.principals import Principal
from flyte_site.auth.scopes import AS_PACK, OPEN, SCOPES
from flyte_site.models import Token

log = structlog.get_logger(__name__)

TOKEN_PREFIX = "flyte_"  # noqa: S105 - the same for every token
VISIBLE_LENGTH = len(TOKEN_PREFIX) + 6
# That a token was used is noted again after this time, so that a poll writes nothing.
LAST_USED_RESOLUTION = timedelta(minutes=5)
MAX_NAME_LENGTH = 100
MAX_PACK_PATTERN_LENGTH = 255


class TokenError(ValueError):
    """What was asked for makes no token; the message says why."""


def create_token(
    actor: Actor,
    name: str,
    *,
    pack: str = "",
    labels: Mapping[str, str] | None = None,
    scopes: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Makes a token for whoever asks; gives it with its secret, which nothing can show again. Raises `TokenError`.

    `pack` lets it be packs of that name (`*` is any text) that have at least these labels.
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
        raise TokenError(f"there is a token {name!r} already, or was; names are never used again") from None
    log.info("token_created", token=name)
    return token, secret


def _validate(name: str, pack: str, labels: dict[str, str], scopes: list[str], expires_at: datetime | None) -> None:
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise TokenError(f"a token needs a name of at most {MAX_NAME_LENGTH} printable characters")
    if len(pack) > MAX_PACK_PATTERN_LENGTH:
        raise TokenError(f"a pack's name has at most {MAX_PACK_PATTERN_LENGTH} characters")
    if labels and not pack:
        raise TokenError("labels are those of the packs that it may be; name the packs too")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise TokenError(f"there is no scope {unknown[0]!r}; there are {', '.join(SCOPES)}")
    if not pack and not scopes:
        raise TokenError("it could do nothing: name the packs that it may be, or scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenError("it would have expired already")


def revoke_token(actor: Actor, name: str) -> bool:
    """Makes a token useless from now on. False where there is none of this name that could be used."""
    with transaction.atomic():
        changed = Token.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            log_activity(actor, "revoked", "token", name)
    if changed:
        log.info("token_revoked", token=name)
    return bool(changed)


def list_tokens() -> QuerySet[Token]:
    """All tokens, those that ended too, in the order of their names."""
    return Token.objects.order_by("name")


def find_token(secret: str) -> Token | None:
    """The token with this secret, if it can be used; notes that it was. One read, by an index."""
    now = timezone.now()
    token = Token.objects.filter(digest=hash_secret(secret)).first()
    if token is None or not token.is_usable(now):
        return None
    if token.last_used_at is None or token.last_used_at <= now - LAST_USED_RESOLUTION:
        is_stale = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USED_RESOLUTION)
        Token.objects.filter(is_stale, pk=token.pk).update(last_used_at=now)
    return token


def token_allows(token: Token, required_scope: str | None) -> bool:
    """Whether a token may do what needs this (see `scopes.needed_for`)."""
    if required_scope == AS_PACK:
        return bool(token.pack)
    return required_scope == OPEN or required_scope in token.scopes


def hash_secret(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def principal_from_token(token: Token) -> Principal:
    """Who sends a request with this token."""
    return Principal("token", token.name, token.pack, token.labels)
