"""The caller of the API: anonymous, a token of this server, or a user of an identity provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

META_KEY = "flyte.caller"
MAX_ACTOR_LENGTH = 255


class HasMeta(Protocol):
    """A request of Django or of REST framework."""

    @property
    def META(self) -> Mapping[str, Any]: ...  # noqa: N802 - Django's name


@dataclass(frozen=True)
class Principal:
    """The sender of a request. `kind`: `anonymous`, `token` or `oidc`. `name`: a token's name or a provider's subject.

    A token may act as a pack whose name matches `pack` (`Slack`, `Slack*`) and that has at least these labels; with an
    empty `pack` it may act as none. Other kinds may act as any pack that the policy allows.
    """

    kind: str
    name: str = ""
    pack: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor_name(self) -> str:
        """One line for the activity log: `anonymous`, `token slack-prod`, `oidc CiQw… (ana@example.org)`."""
        return f"{self.kind} {self.name}".strip()[:MAX_ACTOR_LENGTH]

    @property
    def is_restricted_to_packs(self) -> bool:
        """True if it may act only as some packs."""
        return self.kind == "token"

    def can_act_as(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return True if it may act as a pack of this name with these labels."""
        if not self.is_restricted_to_packs:
            return True
        return bool(self.pack) and matches_pattern(self.pack, name) and self.labels.items() <= labels.items()


ANONYMOUS = Principal("anonymous")


def get_principal(request: HasMeta) -> Principal:
    """Return the sender of this request; anonymous if authentication did not run."""
    principal = request.META.get(META_KEY, ANONYMOUS)
    return principal if isinstance(principal, Principal) else ANONYMOUS


def matches_pattern(pattern: str, name: str) -> bool:
    """Return True if the name matches a pattern in which each `*` matches any text."""
    prefix, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, suffix = rest
    if not name.startswith(prefix):
        return False
    position = len(prefix)
    for part in middle:
        index = name.find(part, position)
        if index < 0:
            return False
        position = index + len(part)
    return name.endswith(suffix) and len(name) - len(suffix) >= position
