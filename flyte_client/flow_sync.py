"""Bringing a server's flows in line with files: checked all at first, then changed. Where the flows are kept is a
`Shelf`: another server over HTTP, or this one's database (`manage.py flows`)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flyte_client.flow_files import FilesError, Written, check_target, file_name, read_flows, write_flow

NEW, CHANGED, SAME = "new", "changed", "same"
DONE, DIFFERS, AT_FAULT, FAILED = 0, 1, 2, 3
"""Exit codes: done; the answer is no (there are differences, or with `--strict` warnings); files or arguments are at
fault and nothing was changed; the server was away, refused, or had something else by then."""


@dataclass(frozen=True)
class Finding:
    """An error or a warning (`kind`) about a place of a flow; line and column are of its text, from 1."""

    kind: str
    path: str
    message: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True)
class Checked:
    """What saving a text would do: `change` is `new`, `changed` or `same`, `diff` is what changes, as a unified diff.

    `version` is the version that the flow is on now, '' where there is none. With an error among the findings, there is
    nothing but them.
    """

    name: str = ""
    change: str = ""
    version: str = ""
    diff: str = ""
    findings: Sequence[Finding] = ()

    @property
    def bad(self) -> bool:
        return any(one.kind == "error" for one in self.findings)


class Shelf(Protocol):
    """Where flows are kept. Its calls raise `FlyteError`s of this library."""

    def check(self, text: str) -> Checked:
        """What saving the text would do."""

    def names(self) -> list[str]:
        """The names of all flows."""

    def text(self, name: str) -> str:
        """A flow as a text that can be saved again."""

    def save(self, text: str, checked: Checked, note: str) -> None:
        """Save the flow, if it is still on the version that was checked."""

    def delete(self, name: str) -> None:
        """Delete the flow."""


@dataclass(frozen=True)
class Entry:
    """A flow in a file, and what was found out about it."""

    written: Written
    checked: Checked


@dataclass
class Plan:
    """The flows of the files, and the names of those that only the shelf has."""

    entries: list[Entry]
    others: list[str] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        return any(entry.checked.bad for entry in self.entries)

    @property
    def warned(self) -> bool:
        return any(entry.checked.findings for entry in self.entries)

    @property
    def changes(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.checked.change in (NEW, CHANGED)]

    def shown(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        return {"flows": [_shown(entry) for entry in self.entries], "others": self.others}


def _shown(entry: Entry) -> dict[str, Any]:
    checked, written = entry.checked, entry.written
    told: dict[str, Any] = {"file": str(written.path), "line": written.line}
    told |= {"name": checked.name, "change": checked.change} if checked.name else {}
    told |= {"diff": checked.diff} if checked.diff else {}
    findings = [{**vars(one), "line": written.line + one.line - 1} for one in checked.findings]
    return told | {"findings": findings}


def plan(shelf: Shelf, place: Path, *, with_others: bool = True) -> Plan:
    """What stands in the files against what the shelf has. Raises `FilesError`, and what the shelf raises."""
    entries = _without_clashes([Entry(written, shelf.check(written.text)) for written in read_flows(place)])
    made = Plan(entries)
    if with_others and not made.bad:
        here = {entry.checked.name for entry in entries}
        made.others = sorted(name for name in shelf.names() if name not in here)
    return made


def _without_clashes(entries: list[Entry]) -> list[Entry]:
    """The entries, with an error at each that has a name which an earlier one has."""
    first: dict[str, Entry] = {}
    checked = []
    for entry in entries:
        other = first.setdefault(entry.checked.name, entry) if entry.checked.name else entry
        if other is not entry:
            message = f"{entry.checked.name!r} is the name of the flow at {other.written.at(1, 1)} already"
            entry = Entry(entry.written, Checked(findings=[Finding("error", "name", message)]))
        checked.append(entry)
    return checked


def apply(shelf: Shelf, made: Plan, *, prune: bool, note: str, tell: Callable[[str], object]) -> None:
    """Save what differs, then, with `prune`, delete the others; `tell` hears of each as it is done."""
    for entry in made.changes:
        shelf.save(entry.written.text, entry.checked, note)
        tell(f"{entry.checked.change}  {entry.checked.name}")
    for name in made.others if prune else ():
        shelf.delete(name)
        tell(f"deleted  {name}")


def export(shelf: Shelf, folder: Path, names: Sequence[str] = ()) -> Iterator[tuple[str, Path, bool]]:
    """Write flows into a folder: name, file, and whether that changed the file. Raises `FilesError`."""
    check_target(folder)
    taken: dict[str, str] = {}
    for name in names or shelf.names():
        text = shelf.text(name)
        # Not every file system tells capital letters from small ones.
        file = file_name(name, text)
        if other := taken.get(file.lower()):
            raise FilesError(f"{folder / file}: would hold both {other!r} and {name!r}; export one of them elsewhere")
        taken[file.lower()] = name
        yield name, folder / file, write_flow(folder, name, text)


def findings_told(made: Plan) -> Iterator[str]:
    """Errors and warnings as compilers tell them: `flows/date.yaml:3:5: error: steps[0].event: …`."""
    for entry in made.entries:
        for one in entry.checked.findings:
            path = f"{one.path}: " if one.path else ""
            yield f"{entry.written.at(one.line, one.column)}: {one.kind}: {path}{one.message}"


def summary(made: Plan, *, prune: bool = False) -> str:
    """`2 new, 1 changed, 5 the same`, and what is with those that no file has."""
    count = Counter(entry.checked.change for entry in made.entries)
    told = f"{count[NEW]} new, {count[CHANGED]} changed, {count[SAME]} the same"
    if made.others:
        told += f", {len(made.others)} {'to delete' if prune else 'in no file'}"
    return told
