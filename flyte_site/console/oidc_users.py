"""Users of the identity provider: their accounts on this server, and roles by their claims."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from flyte_formats.characters import has_control_characters
from flyte_site.auth.activity_log import USER_KIND, VIA_CONSOLE, Actor, log_activity
from flyte_site.auth.oidc.role_mapping import map_claims_to_roles
from flyte_site.models import Identity

log = structlog.get_logger(__name__)

MAX_USERNAME_LENGTH = 100
MAX_SUBJECT_LENGTH = 255
_INVALID_USERNAME_CHARACTERS = re.compile(r"[^\w.@+-]")
# Fields of the user, each with its claim and maximum length.
PROFILE_FIELDS = {"first_name": ("given_name", 150), "last_name": ("family_name", 150), "email": ("email", 254)}

NO_ROLE_MESSAGE = "You are signed in at the provider, but have no role on this server. Ask its operator."
INACTIVE_MESSAGE = "Your account on this server is deactivated. Ask an admin."


class SignInRefusedError(Exception):
    """A sign-in that is not allowed; the message is shown to the user."""


def get_or_create_oidc_user(issuer: str, claims: Mapping[str, Any]) -> User:
    """Get or create the user with these claims, with the roles of the claims. Raise `SignInRefusedError`.

    If FLYTE_CONSOLE_ROLES maps claims to roles, users without a role are rejected, and unknown ones are not stored. If
    not, an admin assigns roles by hand.
    """
    subject = str(claims.get("sub", ""))
    if not subject or len(subject) > MAX_SUBJECT_LENGTH or has_control_characters(subject):
        raise SignInRefusedError("The provider sent no valid subject for you. Ask the operator of this server.")
    roles = map_claims_to_roles(claims, settings.FLYTE_CONSOLE_ROLES)
    user = _find_user(issuer, subject)
    if user is None and (roles or not settings.FLYTE_CONSOLE_ROLES):
        user = _create_user(issuer, subject, claims)
    if user is not None:
        _update_from_claims(user, claims, roles)
    if user is None or (settings.FLYTE_CONSOLE_ROLES and not user.groups.exists()):
        raise SignInRefusedError(NO_ROLE_MESSAGE)
    if not user.is_active:
        raise SignInRefusedError(INACTIVE_MESSAGE)
    return user


def find_missing_roles() -> list[str]:
    """Return the roles of FLYTE_CONSOLE_ROLES that do not exist."""
    role_names = {rule.role for rule in settings.FLYTE_CONSOLE_ROLES}
    return (
        sorted(role_names - set(Group.objects.filter(name__in=role_names).values_list("name", flat=True)))
        if role_names
        else []
    )


def _find_user(issuer: str, subject: str) -> User | None:
    return User.objects.filter(identity__issuer=issuer, identity__subject=subject).first()


def _create_user(issuer: str, subject: str, claims: Mapping[str, Any]) -> User:
    """Create the account; of two sign-ins of the same user at the same moment, one creates it."""
    name = _find_available_username(issuer, subject, claims)
    try:
        with transaction.atomic():
            user = User.objects.create_user(name)  # without a usable password
            Identity.objects.create(user=user, issuer=issuer, subject=subject)
            log_activity(Actor(name, VIA_CONSOLE), "created", USER_KIND, name, subject=subject)
    except IntegrityError:
        existing = _find_user(issuer, subject)
        if existing is None:
            raise
        return existing
    return user


def _find_available_username(issuer: str, subject: str, claims: Mapping[str, Any]) -> str:
    """Choose a free username: the same name at the provider must not give access to an existing account."""
    candidates = [claims.get("preferred_username"), claims.get("email"), subject]
    preferred = next(str(candidate) for candidate in candidates if candidate)
    name = _INVALID_USERNAME_CHARACTERS.sub("_", preferred)[:MAX_USERNAME_LENGTH]
    if not User.objects.filter(username=name).exists():
        return name
    return f"{name}+{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()[:12]}"


@transaction.atomic
def _update_from_claims(user: User, claims: Mapping[str, Any], roles: set[str]) -> None:
    """Update the profile, and the roles if they are mapped, from the current claims."""
    for field, (claim, length) in PROFILE_FIELDS.items():
        if isinstance(text := claims.get(claim), str) and not has_control_characters(text):
            setattr(user, field, text[:length])
    user.save(update_fields=list(PROFILE_FIELDS))
    if not settings.FLYTE_CONSOLE_ROLES:
        return
    groups = {group.name: group for group in Group.objects.filter(name__in=roles)}
    if unknown := roles - groups.keys():
        log.error("role_unknown", roles=sorted(unknown))
    if set(user.groups.values_list("name", flat=True)) != groups.keys():
        user.groups.set(groups.values())
        log_activity(Actor(user.username, VIA_CONSOLE), "changed roles", USER_KIND, user.username, roles=sorted(groups))
