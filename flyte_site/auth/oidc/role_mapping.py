"""Rules that map claims of the identity provider to roles of the console."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

# The name of a claim may be a URL, which contains a colon: `https://example.org/groups`.
_ROLE_RULE = re.compile(r"(?P<claim>(?:https?://)?[^:=]+):(?P<value>[^=]+)=(?P<role>[^=]+)")


@dataclass(frozen=True)
class RoleRule:
    """A rule that gives the role to users with this value in this claim."""

    claim: str
    value: str
    role: str


NO_ROLE_RULES: tuple[RoleRule, ...] = ()


def parse_role_rules(text: str) -> tuple[RoleRule, ...]:
    """Parse `groups:flyte-admins=admin, groups:dev=editor`. Raises `ValueError`.

    In a value `,`, `=` and `%` are percent-encoded.
    """
    rules = []
    for part in text.split(","):
        match = _ROLE_RULE.fullmatch(part.strip())
        fields = [unquote(field.strip()) for field in match.groups()] if match else [""]
        if not all(fields):
            raise ValueError(f"invalid rule {part.strip()!r}: use claim:value=role, separated by commas")
        rules.append(RoleRule(*fields))
    return tuple(rules)


def map_claims_to_roles(claims: Mapping[str, Any], rules: tuple[RoleRule, ...]) -> set[str]:
    """Return the roles that these claims give."""
    return {rule.role for rule in rules if rule.value in _claim_values(claims, rule.claim)}


def _claim_values(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of a claim as text. If no claim is called `a.b`, it means the field `b` of the claim `a`."""
    claim: Any = claims.get(name)
    if claim is None and "." in name:
        claim = claims
        for part in name.split("."):
            claim = claim.get(part) if isinstance(claim, Mapping) else None
    values = claim if isinstance(claim, list) else [claim]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values if value is not None]
