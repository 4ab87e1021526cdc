"""People whom the identity provider vouches for: their accounts here, and roles that follow what it says."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from flyte_site.auth.roles import roles_of
from flyte_site.changes import CONSOLE, Actor, record
from flyte_site.models import Identity

log = structlog.get_logger(__name__)

MAX_NAME = 100
MAX_SUBJECT = 255
_NOT_IN_NAMES = re.compile(r"[^\w.@+-]")
# Each with the claim that it follows, and how long it may be.
PROFILE = {"first_name": ("given_name", 150), "last_name": ("family_name", 150), "email": ("email", 254)}

NO_ROLE = "The provider knows you, but gives you no role here. Ask who runs this server."
SWITCHED_OFF = "Your account here is switched off. Ask somebody with the role admin."


class RefusedError(Exception):
    """Somebody may not come in; the message tells them why."""


def come_in(issuer: str, claims: Mapping[str, Any]) -> User:
    """The person with these claims, made at the first time, with the roles that the claims give. Raises `RefusedError`.

    Where FLYTE_CONSOLE_ROLES maps claims to roles, who has none is kept out, and nothing is kept of strangers; else an
    admin gives roles by hand.
    """
    subject = str(claims.get("sub", ""))
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise RefusedError("The provider does not say who you are.")
    roles = roles_of(claims, settings.FLYTE_CONSOLE_ROLES)
    user = _known(issuer, subject)
    if user is None and (roles or not settings.FLYTE_CONSOLE_ROLES):
        user = _made(issuer, subject, claims)
    if user is not None:
        _follow(user, claims, roles)
    if user is None or (settings.FLYTE_CONSOLE_ROLES and not user.groups.exists()):
        raise RefusedError(NO_ROLE)
    if not user.is_active:
        raise RefusedError(SWITCHED_OFF)
    return user


def missing_roles() -> list[str]:
    """Roles that FLYTE_CONSOLE_ROLES gives and that there are not."""
    given = {rule.role for rule in settings.FLYTE_CONSOLE_ROLES}
    return sorted(given - set(Group.objects.filter(name__in=given).values_list("name", flat=True))) if given else []


def _known(issuer: str, subject: str) -> User | None:
    return User.objects.filter(identity__issuer=issuer, identity__subject=subject).first()


def _made(issuer: str, subject: str, claims: Mapping[str, Any]) -> User:
    """A new account; of two that sign in as the same person at the same moment one makes it."""
    name = _free_name(issuer, subject, claims)
    try:
        with transaction.atomic():
            user = User.objects.create_user(name)  # with a password that nothing is
            Identity.objects.create(user=user, issuer=issuer, subject=subject)
            record(Actor(name, CONSOLE), "created", "person", name, subject=subject)
    except IntegrityError:
        known = _known(issuer, subject)
        if known is None:
            raise
        return known
    return user


def _free_name(issuer: str, subject: str, claims: Mapping[str, Any]) -> str:
    """What the person is called here. Nobody gets an account that is there by having its name at the provider."""
    called = [claims.get("preferred_username"), claims.get("email"), subject]
    first = next(str(one) for one in called if one)
    name = _NOT_IN_NAMES.sub("_", first)[:MAX_NAME]
    if not User.objects.filter(username=name).exists():
        return name
    return f"{name}+{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()[:12]}"


@transaction.atomic
def _follow(user: User, claims: Mapping[str, Any], roles: set[str]) -> None:
    """Takes over what the provider says now; what is not mapped stays as it is."""
    for field, (claim, length) in PROFILE.items():
        if isinstance(text := claims.get(claim), str) and text.isprintable():
            setattr(user, field, text[:length])
    user.save(update_fields=list(PROFILE))
    if not settings.FLYTE_CONSOLE_ROLES:
        return
    wanted = {group.name: group for group in Group.objects.filter(name__in=roles)}
    if unknown := roles - wanted.keys():
        log.error("role_unknown", roles=sorted(unknown))
    if set(user.groups.values_list("name", flat=True)) != wanted.keys():
        user.groups.set(wanted.values())
        record(Actor(user.username, CONSOLE), "changed roles", "person", user.username, roles=sorted(wanted))
