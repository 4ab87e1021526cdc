"""Changes of a repository's branches and tags between two polls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RefChange:
    """A ref that was created (`old` is None), updated, or deleted (`new` is None)."""

    ref: str
    old: str | None
    new: str | None

    @property
    def is_tag(self) -> bool:
        return self.ref.startswith("refs/tags/")

    @property
    def name(self) -> str:
        """The name of the branch or tag."""
        return self.ref.split("/", 2)[2]


def compare_refs(old_refs: Mapping[str, str], new_refs: Mapping[str, str]) -> Iterator[RefChange]:
    """Yield the changes, branches first, so that the event for a tag comes after the event for its commits."""
    for ref in sorted(old_refs.keys() | new_refs.keys()):
        if old_refs.get(ref) != new_refs.get(ref):
            yield RefChange(ref, old_refs.get(ref), new_refs.get(ref))
