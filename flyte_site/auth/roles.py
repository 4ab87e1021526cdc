"""Which of a provider's claims give which of the console's roles."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

# The name of a claim may be a URL (`https://example.org/groups`), and so have a colon of its own.
_RULE = re.compile(r"(?P<claim>(?:https?://)?[^:=]+):(?P<value>[^=]+)=(?P<role>[^=]+)")


@dataclass(frozen=True)
class RoleRule:
    """Who has this value in this claim has the role."""

    claim: str
    value: str
    role: str


NO_ROLES: tuple[RoleRule, ...] = ()


def read_roles(text: str) -> tuple[RoleRule, ...]:
    """`groups:flyte-admins=admin, groups:dev=editor` as rules. Raises `ValueError`.

    In a value `,`, `=` and `%` are percent-encoded.
    """
    rules = []
    for part in text.split(","):
        found = _RULE.fullmatch(part.strip())
        words = [unquote(word.strip()) for word in found.groups()] if found else [""]
        if not all(words):
            raise ValueError(f"has {part.strip()!r}, but must be claim:value=role, several of them between commas")
        rules.append(RoleRule(*words))
    return tuple(rules)


def roles_of(claims: Mapping[str, Any], rules: tuple[RoleRule, ...]) -> set[str]:
    """The roles that these claims give."""
    return {rule.role for rule in rules if rule.value in _values(claims, rule.claim)}


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """What a claim holds, one value or a list; `realm_access.roles` is one within another where none is called that."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    values = found if isinstance(found, list) else [found]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values if value is not None]
