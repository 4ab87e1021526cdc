"""What happened to a repository's branches and tags between two looks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """A ref came (`old` is None), moved, or went (`new` is None)."""

    ref: str
    old: str | None
    new: str | None

    @property
    def is_tag(self) -> bool:
        return self.ref.startswith("refs/tags/")

    @property
    def name(self) -> str:
        """The branch or tag, as people call it."""
        return self.ref.split("/", 2)[2]


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    """Branches first, so that who waits for a tag has heard of its commits."""
    for ref in sorted(before.keys() | now.keys()):
        if before.get(ref) != now.get(ref):
            yield Change(ref, before.get(ref), now.get(ref))
