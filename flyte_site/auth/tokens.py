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

from flyte_site.auth.callers import Caller
from flyte_site.auth.scopes import AS_PACK, OPEN, SCOPES
from flyte_site.changes import Actor, record
from flyte_site.models import Token

log = structlog.get_logger(__name__)

PREFIX = "flyte_"
SHOWN = len(PREFIX) + 6
# That a token was used is noted again after this time, so that a poll writes nothing.
USED_AGAIN = timedelta(minutes=5)
MAX_NAME = 100
MAX_PATTERN = 255


class TokenError(ValueError):
    """What was asked for makes no token; the message says why."""


def create(
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
    allowed = sorted(set(scopes))
    _check(name, pack, dict(labels or {}), allowed, expires_at)
    secret = PREFIX + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            token = Token.objects.create(
                name=name,
                digest=digest(secret),
                shown=secret[:SHOWN],
                pack=pack,
                labels=dict(labels or {}),
                scopes=allowed,
                expires_at=expires_at,
            )
            record(actor, "created", "token", name, pack=pack, labels=token.labels, scopes=allowed)
    except IntegrityError:
        raise TokenError(f"there is a token {name!r} already, or was; names are never used again") from None
    log.info("token_created", token=name)
    return token, secret


def _check(name: str, pack: str, labels: dict[str, str], scopes: list[str], expires_at: datetime | None) -> None:
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise TokenError(f"a token needs a name of at most {MAX_NAME} printable characters")
    if len(pack) > MAX_PATTERN:
        raise TokenError(f"a pack's name has at most {MAX_PATTERN} characters")
    if labels and not pack:
        raise TokenError("labels are those of the packs that it may be; name the packs too")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise TokenError(f"there is no scope {unknown[0]!r}; there are {', '.join(SCOPES)}")
    if not pack and not scopes:
        raise TokenError("it could do nothing: name the packs that it may be, or scopes")
    if expires_at is not None and expires_at <= timezone.now():
        raise TokenError("it would have expired already")


def revoke(actor: Actor, name: str) -> bool:
    """Makes a token useless from now on. False where there is none of this name that could be used."""
    with transaction.atomic():
        changed = Token.objects.filter(name=name, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            record(actor, "revoked", "token", name)
    if changed:
        log.info("token_revoked", token=name)
    return bool(changed)


def listed() -> QuerySet[Token]:
    """All tokens, those that ended too, in the order of their names."""
    return Token.objects.order_by("name")


def find(secret: str) -> Token | None:
    """The token with this secret, if it can be used; notes that it was. One read, by an index."""
    now = timezone.now()
    token = Token.objects.filter(digest=digest(secret)).first()
    if token is None or not token.is_usable(now):
        return None
    if token.last_used_at is None or token.last_used_at <= now - USED_AGAIN:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_AGAIN)
        Token.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
    return token


def allows(token: Token, needed: str | None) -> bool:
    """Whether a token may do what needs this (see `scopes.needed_for`)."""
    if needed == AS_PACK:
        return bool(token.pack)
    return needed == OPEN or needed in token.scopes


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def as_caller(token: Token) -> Caller:
    """Who sends a request with this token."""
    return Caller("token", token.name, token.pack, token.labels)
