"""Who calls: nobody in particular, a token of this server, or somebody whom an identity provider vouches for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

META_KEY = "flyte.caller"
MAX_ACTOR = 255


class HasMeta(Protocol):
    """A request, Django's or the framework's."""

    @property
    def META(self) -> Mapping[str, Any]: ...  # noqa: N802 - Django's name


@dataclass(frozen=True)
class Caller:
    """Who sent a request. `kind` is `anonymous`, `token` or `oidc`; `name` is a token's name or a provider's subject.

    A token may be a pack of a name that `pack` stands for (`Slack`, `Slack*`) and with at least these labels; an empty
    `pack` is none. Others may be any pack that they were let through to.
    """

    kind: str
    name: str = ""
    pack: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def actor(self) -> str:
        """One line for histories: `anonymous`, `token slack-prod`, `oidc CiQw… (ana@example.org)`."""
        return f"{self.kind} {self.name}".strip()[:MAX_ACTOR]

    @property
    def is_limited(self) -> bool:
        """Whether it may be some packs and not others."""
        return self.kind == "token"

    def may_be(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it may act as a pack of this name with these labels."""
        if not self.is_limited:
            return True
        return bool(self.pack) and stands_for(self.pack, name) and self.labels.items() <= labels.items()


ANONYMOUS = Caller("anonymous")


def caller_of(request: HasMeta) -> Caller:
    """Who sent this request. Who was not asked is anonymous."""
    found = request.META.get(META_KEY, ANONYMOUS)
    return found if isinstance(found, Caller) else ANONYMOUS


def stands_for(pattern: str, name: str) -> bool:
    """Whether a pattern, in which each `*` is any text, is this name."""
    first, *others = pattern.split("*")
    if not others:
        return name == pattern
    *middle, last = others
    if not name.startswith(first):
        return False
    place = len(first)
    for text in middle:
        found = name.find(text, place)
        if found < 0:
            return False
        place = found + len(text)
    return name.endswith(last) and len(name) - len(last) >= place
