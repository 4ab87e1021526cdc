"""Report on a flow's text for an editor: every issue with its line, and the parts that could be parsed."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flows.definition import FLOW_TEXT_FIELDS, FlowDefinition, FlowIssue, FlowValidationError, parse_flow, read_outline
from flows.definition.checks.registry import find_registry_warnings
from flows.definition.editor.locations import MAX_LOCATED_LENGTH, SourceMap
from flows.models import Flow, FlowVersion
from flyte_site.http.content_types import to_yaml
from flyte_site.http.input.parsing import DocumentError, parse_json, parse_yaml

MAX_ISSUES = 200
MAX_LOCATED_STEPS = 500
MAX_CLIPPED_TEXTS = 200
MAX_CLIPPED_LENGTH = 255
ERROR, WARNING = "error", "warning"
MEDIA_TYPES = {"json": "application/json", "yaml": "application/x-yaml"}


@dataclass(frozen=True)
class LocatedIssue:
    """An issue at a line and a column of the text, both from 1; `kind` is `error` or `warning`."""

    kind: str
    path: str
    message: str
    line: int
    column: int


@dataclass
class ValidationReport:
    """A text and its issues. `value` is the parsed text; `definition` is None for an invalid flow."""

    text: str
    language: str
    value: Any = None
    definition: FlowDefinition | None = None
    issues: list[LocatedIssue] = field(default_factory=list)
    source_map: SourceMap | None = None

    @property
    def errors(self) -> list[LocatedIssue]:
        return [issue for issue in self.issues if issue.kind == ERROR]

    def add_issues(self, kind: str, issues: Iterable[FlowIssue]) -> None:
        """Add issues, each at its position in the text."""
        for issue in issues:
            line, column = self.locate(issue.path, issue.line, issue.column)
            self.issues.append(LocatedIssue(kind, issue.path, issue.message, line, column))
        self.issues.sort(key=lambda issue: (issue.line, issue.column))

    def locate(self, path: str, line: int = 0, column: int = 0) -> tuple[int, int]:
        """Return line and column in the text of a path, and of a line and column in the template there."""
        return self.source_map.locate(path, line, column) if self.source_map else (1, 1)


def detect_language(text: str) -> str:
    """Return `json` or `yaml`, by the first character."""
    return "json" if text.lstrip().startswith(("{", "[")) else "yaml"


def normalize_text(text: str) -> str:
    """Return the text with line ends as in editors, and without a byte order mark."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def validate_text(text: str, flow: Flow | None = None) -> ValidationReport:
    """Find all errors and warnings of the text; `flow` is the flow that it would replace."""
    report = ValidationReport(text, detect_language(text))
    if len(text) > MAX_LOCATED_LENGTH:
        report.issues.append(LocatedIssue(ERROR, "", f"is longer than {MAX_LOCATED_LENGTH:,} characters", 1, 1))
        return report
    _parse_text(report)
    if report.issues:
        return report
    report.source_map = SourceMap(text, is_json=report.language == "json")
    try:
        report.definition = parse_flow(report.value)
    except FlowValidationError as error:
        report.add_issues(ERROR, error.errors[:MAX_ISSUES])
        report.add_issues(WARNING, _collect_warnings(error.definition))
        return report
    report.add_issues(WARNING, _collect_warnings(report.definition))
    report.add_issues(WARNING, find_enabled_change(report.definition, flow))
    return report


def _collect_warnings(definition: FlowDefinition) -> list[FlowIssue]:
    return [*definition.warnings, *find_registry_warnings(definition)][:MAX_ISSUES]


def _parse_text(report: ValidationReport) -> None:
    """Parse JSON if the text looks like it; if that fails, it may still be YAML."""
    if not report.text.strip():
        report.issues.append(LocatedIssue(ERROR, "", "the document is empty; a flow needs a name and steps", 1, 1))
        return
    try:
        report.value = (
            parse_json(report.text, unique_keys=True) if report.language == "json" else _parse_yaml(report.text)
        )
    except DocumentError as error:
        if report.language == "json" and _try_yaml(report):
            return
        report.issues.append(LocatedIssue(ERROR, "", error.message, error.line or 1, error.column or 1))


def _parse_yaml(text: str) -> Any:
    return parse_yaml(text, FLOW_TEXT_FIELDS, unique_keys=True)


def _try_yaml(report: ValidationReport) -> bool:
    try:
        report.value = _parse_yaml(report.text)
    except DocumentError:
        return False
    report.language = "yaml"
    return True


def find_enabled_change(definition: FlowDefinition, flow: Flow | None) -> list[FlowIssue]:
    """Warn if saving the document would enable or disable the flow."""
    if flow is None or flow.name != definition.name or definition.enabled in (None, flow.enabled):
        return []
    current_state, effect = ("enabled", "disables") if flow.enabled else ("disabled", "enables")
    return [
        FlowIssue(
            "enabled",
            f"the flow is {current_state} and saving this {effect} it; remove this line to keep it {current_state}",
        )
    ]


@dataclass(frozen=True)
class StepLocation:
    """A step for the editor: its line in the text, event, dependencies, and the names that its context assigns."""

    id: str
    line: int
    pack: str
    event: str
    depends_on: tuple[str, ...]
    context: tuple[str, ...]


def locate_steps(report: ValidationReport) -> list[StepLocation]:
    """List the steps of a text, which need not be a valid flow."""
    return [
        StepLocation(
            id=step.id,
            line=report.locate(f"steps[{index}]")[0],
            pack=step.event.pack_name[:MAX_CLIPPED_LENGTH] if step.event else "",
            event=step.event.name[:MAX_CLIPPED_LENGTH] if step.event else "",
            depends_on=_clip_texts(step.depends_on),
            context=_clip_texts(step.context_names),
        )
        for index, step in enumerate(read_outline(report.value).limit_steps(MAX_LOCATED_STEPS).steps)
    ]


def _clip_texts(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text[:MAX_CLIPPED_LENGTH] for text in texts[:MAX_CLIPPED_TEXTS])


def has_comments(text: str) -> bool:
    """Return whether a YAML text contains comments; text in quotes that looks like one counts too."""
    return any(line.lstrip().startswith("#") or " #" in line for line in text.split("\n"))


def convert_text(text: str, language: str) -> str:
    """Convert the document to the other language: `json` or `yaml`. Raises `DocumentError`.

    A text in that language already is returned unchanged. JSON has no comments: they are lost.
    """
    report = ValidationReport(text, detect_language(text))
    _parse_text(report)
    if report.issues:
        first_finding = report.issues[0]
        raise DocumentError(first_finding.message, first_finding.line, first_finding.column)
    if report.language == language:
        return text
    if language == "json":
        return format_json(report.value)
    return to_yaml(report.value)


def format_json(value: Any) -> str:
    """Format the document as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def get_version_text(version: FlowVersion) -> str:
    """Return a version as it was written. JSON in one line is formatted, and a version without text gets one."""
    source = normalize_text(version.source)
    if not source.strip():
        return to_yaml(version.document)
    if "\n" not in source.strip() and detect_language(source) == "json":
        with suppress(DocumentError):
            return format_json(parse_json(source))
    return source
