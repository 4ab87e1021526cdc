"""What happened to a repository's branches and tags between two looks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RefChange:
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


def compare_refs(old_refs: Mapping[str, str], new_refs: Mapping[str, str]) -> Iterator[RefChange]:
    """Branches first, so that who waits for a tag has heard of its commits."""
    for ref in sorted(old_refs.keys() | new_refs.keys()):
        if old_refs.get(ref) != new_refs.get(ref):
            yield RefChange(ref, old_refs.get(ref), new_refs.get(ref))
