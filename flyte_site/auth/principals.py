"""Who calls: nobody in particular, a token of this server, or somebody whom an identity provider vouches for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

META_KEY = "flyte.caller"
MAX_ACTOR_LENGTH = 255


class HasMeta(Protocol):
    """A request, Django's or the framework's."""

    @property
    def META(self) -> Mapping[str, Any]: ...  # noqa: N802 - Django's name


@dataclass(frozen=True)
class Principal:
    """Who sent a request. `kind` is `anonymous`, `token` or `oidc`; `name` is a token's name or a provider's subject.

    A token may be a pack of a name that `pack` stands for (`Slack`, `Slack*`) and with at least these labels; an empty
    `pack` is none. Others may be any pack that they were let through to.
    """

    kind: str
    name: str = ""
    pack: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor_name(self) -> str:
        """One line for histories: `anonymous`, `token slack-prod`, `oidc CiQw… (ana@example.org)`."""
        return f"{self.kind} {self.name}".strip()[:MAX_ACTOR_LENGTH]

    @property
    def is_restricted_to_packs(self) -> bool:
        """Whether it may be some packs and not others."""
        return self.kind == "token"

    def can_act_as(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it may act as a pack of this name with these labels."""
        if not self.is_restricted_to_packs:
            return True
        return bool(self.pack) and matches_pattern(self.pack, name) and self.labels.items() <= labels.items()


ANONYMOUS = Principal("anonymous")


def get_principal(request: HasMeta) -> Principal:
    """Who sent this request. Who was not asked is anonymous."""
    principal = request.META.get(META_KEY, ANONYMOUS)
    return principal if isinstance(principal, Principal) else ANONYMOUS


def matches_pattern(pattern: str, name: str) -> bool:
    """Whether a pattern, in which each `*` is any text, is this name."""
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
