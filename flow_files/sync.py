"""Synchronization of a server's flows with files: all files are checked first, then the flows are changed.

The flows are in a `FlowStore`: another server over HTTP, or this server's database (`manage.py flows`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from flow_files.errors import FlowFilesError, format_names
from flow_files.files import FlowSource, check_target, choose_file_stems, get_suffix, read_flows, write_flow

NEW, CHANGED, SAME = "new", "changed", "same"
EXIT_OK, EXIT_DIFFERENCES, EXIT_INVALID, EXIT_FAILED = 0, 1, 2, 3
"""Exit codes: done; negative result (differences, or warnings with `--strict`); invalid files or arguments, nothing was
changed; server unreachable, request refused, or flow changed in the meantime."""


@dataclass(frozen=True)
class FlowFinding:
    """An error or a warning (`kind`) about a position in a flow's text; line and column count from 1."""

    kind: str
    path: str
    message: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True)
class FlowCheck:
    """The effect of saving a text: `change` is `new`, `changed` or `same`, `diff` is a unified diff.

    `version` is the flow's current version, '' for a new flow. If the findings include an error, all other fields are
    empty.
    """

    name: str = ""
    change: str = ""
    version: str = ""
    diff: str = ""
    findings: Sequence[FlowFinding] = ()

    @property
    def has_errors(self) -> bool:
        return any(finding.kind == "error" for finding in self.findings)


class FlowStore(Protocol):
    """A store of flows. Its methods raise `FlowStoreError`."""

    def check(self, text: str) -> FlowCheck:
        """Return the effect of saving the text."""

    def names(self) -> list[str]:
        """Return the names of all flows."""

    def text(self, name: str) -> str:
        """Return a flow as text that can be saved again."""

    def save(self, text: str, check: FlowCheck, note: str) -> None:
        """Save the flow if its current version is the checked one."""

    def delete(self, name: str) -> None:
        """Delete the flow."""


@dataclass(frozen=True)
class PlannedFlow:
    """A flow in a file, and the result of its check."""

    source: FlowSource
    check: FlowCheck


@dataclass
class SyncPlan:
    """The flows of the files, and the names of flows that are only in the store."""

    entries: list[PlannedFlow]
    store_only: list[str] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        return any(entry.check.has_errors for entry in self.entries)

    @property
    def has_findings(self) -> bool:
        return any(entry.check.findings for entry in self.entries)

    @property
    def changes(self) -> list[PlannedFlow]:
        return [entry for entry in self.entries if entry.check.change in (NEW, CHANGED)]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as the object that `--json` prints."""
        return {"flows": [_entry_to_json(entry) for entry in self.entries], "others": self.store_only}


def _entry_to_json(entry: PlannedFlow) -> dict[str, Any]:
    check, source = entry.check, entry.source
    document: dict[str, Any] = {"file": str(source.path), "line": source.line}
    document |= {"name": check.name, "change": check.change} if check.name else {}
    document |= {"diff": check.diff} if check.diff else {}
    findings = [{**vars(finding), "line": source.line + finding.line - 1} for finding in check.findings]
    return document | {"findings": findings}


def build_plan(store: FlowStore, root: Path, *, with_store_only: bool = True) -> SyncPlan:
    """Compare the files with the store. Raises `FlowFilesError`, and what the store raises."""
    entries = _mark_duplicate_names([PlannedFlow(source, store.check(source.text)) for source in read_flows(root)])
    plan = SyncPlan(entries)
    if with_store_only and not plan.has_errors:
        names_in_files = {entry.check.name for entry in entries}
        plan.store_only = sorted(name for name in store.names() if name not in names_in_files)
    return plan


def _mark_duplicate_names(entries: list[PlannedFlow]) -> list[PlannedFlow]:
    """Return the entries, with an error at each entry whose name an earlier entry has."""
    first_by_name: dict[str, PlannedFlow] = {}
    result = []
    for entry in entries:
        earlier = first_by_name.setdefault(entry.check.name, entry) if entry.check.name else entry
        if earlier is not entry:
            message = f"duplicate flow name {entry.check.name!r}, first used at {earlier.source.format_location(1, 1)}"
            entry = PlannedFlow(entry.source, FlowCheck(findings=[FlowFinding("error", "name", message)]))
        result.append(entry)
    return result


def apply_plan(store: FlowStore, plan: SyncPlan, *, prune: bool, note: str, report: Callable[[str], object]) -> None:
    """Save the flows that differ; with `prune`, then delete those in no file. Call `report` after each change."""
    for entry in plan.changes:
        store.save(entry.source.text, entry.check, note)
        report(f"{entry.check.change}  {entry.check.name}")
    for name in plan.store_only if prune else ():
        store.delete(name)
        report(f"deleted  {name}")


def export_flows(store: FlowStore, folder: Path, names: Sequence[str] = ()) -> Iterator[tuple[str, Path, bool]]:
    """Write flows to a folder; yield name, file, and True if the file changed.

    Raises `FlowFilesError` before anything is written, and `FlowStoreError` if a file can't be written.
    """
    check_target(folder)
    all_names = store.names()
    exported_names = list(dict.fromkeys(names or all_names))
    if unknown_names := [name for name in exported_names if name not in set(all_names)]:
        raise FlowFilesError(f"flow {unknown_names[0]!r} not found; flows: {format_names(all_names)}")
    # The stems depend on all flows, so that an export of one flow chooses the same file as an export of all.
    stems = choose_file_stems(all_names)
    texts = {name: store.text(name) for name in exported_names}
    for name, text in texts.items():
        path = folder / f"{stems[name]}{get_suffix(text)}"
        yield name, path, write_flow(path, text)


def format_findings(plan: SyncPlan) -> Iterator[str]:
    """Yield errors and warnings in the format of compilers: `flows/date.yaml:3:5: error: steps[0].event: …`."""
    for entry in plan.entries:
        for finding in entry.check.findings:
            path = f"{finding.path}: " if finding.path else ""
            location = entry.source.format_location(finding.line, finding.column)
            yield f"{location}: {finding.kind}: {path}{finding.message}"


def format_summary(plan: SyncPlan, *, prune: bool = False) -> str:
    """Return a summary such as `2 new, 1 changed, 5 the same`, with the number of flows in no file."""
    count = Counter(entry.check.change for entry in plan.entries)
    text = f"{count[NEW]} new, {count[CHANGED]} changed, {count[SAME]} the same"
    if plan.store_only:
        text += f", {len(plan.store_only)} {'to delete' if prune else 'in no file'}"
    return text
