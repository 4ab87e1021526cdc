"""A flow's text as an editor sees it: every finding with its line, and what the text says as far as it can be read."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flows.document import FLOW_TEXT_FIELDS, FlowDefinition, FlowIssue, FlowValidationError, parse_flow
from flows.document.places import SourceMap
from flows.drawing import make_step_anchor
from flows.models import Flow, FlowVersion
from flows.registered import registry_warnings
from flyte_site.rest.documents import DocumentError, parse_json, parse_yaml
from flyte_site.rest.media import to_yaml

MAX_TEXT = 500_000
MAX_FINDINGS = 200
ERROR, WARNING = "error", "warning"
MEDIA_TYPES = {"json": "application/json", "yaml": "application/x-yaml"}


@dataclass(frozen=True)
class Marked:
    """A finding at a line and a column of the text, both from 1; `kind` is `error` or `warning`."""

    kind: str
    path: str
    message: str
    line: int
    column: int


@dataclass
class Checked:
    """A text, and all that was found in it. `value` is what it reads as; `document` is None where it is no flow."""

    text: str
    language: str
    value: Any = None
    document: FlowDefinition | None = None
    findings: list[Marked] = field(default_factory=list)
    places: SourceMap | None = None

    @property
    def errors(self) -> list[Marked]:
        return [one for one in self.findings if one.kind == ERROR]

    def mark(self, kind: str, findings: Iterable[FlowIssue]) -> None:
        """Add findings, each at its place in the text."""
        for one in findings:
            line, column = self.find(one.path, one.line, one.column)
            self.findings.append(Marked(kind, one.path, one.message, line, column))
        self.findings.sort(key=lambda one: (one.line, one.column))

    def find(self, path: str, line: int = 0, column: int = 0) -> tuple[int, int]:
        """Line and column in the text of a path, and of a line and column in the template that stands there."""
        return self.places.locate(path, line, column) if self.places else (1, 1)


def language_of(text: str) -> str:
    """`json` or `yaml`, by the first character."""
    return "json" if text.lstrip().startswith(("{", "[")) else "yaml"


def plain_text(text: str) -> str:
    """The text with the line ends that editors use, and without a byte order mark."""
    return text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")


def check(text: str, flow: Flow | None = None) -> Checked:
    """All that is wrong with the text, and what may be; `flow` is the one that it is to replace."""
    found = Checked(text, language_of(text))
    if len(text) > MAX_TEXT:
        found.findings.append(Marked(ERROR, "", f"is longer than {MAX_TEXT:,} characters", 1, 1))
        return found
    _read(found)
    if found.findings:
        return found
    found.places = SourceMap(text, is_json=found.language == "json")
    try:
        found.document = parse_flow(found.value)
    except FlowValidationError as error:
        found.mark(ERROR, error.errors[:MAX_FINDINGS])
        found.mark(WARNING, _warnings(error.definition))
        return found
    found.mark(WARNING, _warnings(found.document))
    found.mark(WARNING, about_state(found.document, flow))
    return found


def _warnings(document: FlowDefinition) -> list[FlowIssue]:
    return [*document.warnings, *registry_warnings(document)][:MAX_FINDINGS]


def _read(found: Checked) -> None:
    """Reads JSON where it looks so; what begins like JSON may still be YAML."""
    if not found.text.strip():
        found.findings.append(Marked(ERROR, "", "is empty: a flow has a name and steps", 1, 1))
        return
    try:
        found.value = parse_json(found.text, unique_keys=True) if found.language == "json" else _yaml(found.text)
    except DocumentError as error:
        if found.language == "json" and _is_yaml(found):
            return
        found.findings.append(Marked(ERROR, "", error.message, error.line or 1, error.column or 1))


def _yaml(text: str) -> Any:
    return parse_yaml(text, FLOW_TEXT_FIELDS, unique_keys=True)


def _is_yaml(found: Checked) -> bool:
    try:
        found.value = _yaml(found.text)
    except DocumentError:
        return False
    found.language = "yaml"
    return True


def about_state(document: FlowDefinition, flow: Flow | None) -> list[FlowIssue]:
    """What the document would switch."""
    if flow is None or flow.name != document.name or document.enabled in (None, flow.enabled):
        return []
    now, then = ("enabled", "disables") if flow.enabled else ("disabled", "enables")
    return [FlowIssue("enabled", f"the flow is {now}, and saving this {then} it; without this line it stays as it is")]


@dataclass(frozen=True)
class StepLine:
    """What the editor needs to know of a step: where it stands, what it waits for, what it keeps."""

    id: str
    anchor: str
    line: int
    pack: str
    event: str
    depends_on: tuple[str, ...]
    context: tuple[str, ...]


def steps_of(found: Checked) -> list[StepLine]:
    """The steps of a text, be it a flow already or not."""
    steps = found.value.get("steps") if isinstance(found.value, dict) else None
    listed = steps[:500] if isinstance(steps, list) else []
    return [_step(found, place, raw if isinstance(raw, dict) else {}) for place, raw in enumerate(listed)]


def _step(found: Checked, place: int, raw: dict[str, Any]) -> StepLine:
    named, event = raw.get("id"), raw.get("event")
    step_id = named if isinstance(named, str) and named else f"step-{place + 1}"
    listened = event if isinstance(event, dict) else {}
    line, _ = found.find(f"steps[{place}]")
    context = raw.get("context")
    return StepLine(
        id=step_id,
        anchor=make_step_anchor(step_id),
        line=line,
        pack=_text(listened.get("packName")),
        event=_text(listened.get("name")),
        depends_on=_texts(raw.get("dependsOn")),
        context=_texts(list(context) if isinstance(context, dict) else []),
    )


def _text(value: Any) -> str:
    return value[:255] if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    items: Sequence[Any] = value if isinstance(value, list) else ()
    return tuple(item[:255] for item in items[:200] if isinstance(item, str))


def has_comments(text: str) -> bool:
    """Whether a YAML text has lines that are comments, or end in one. Quoted text that looks so counts too."""
    return any(line.lstrip().startswith("#") or " #" in line for line in text.split("\n"))


def converted(text: str, language: str) -> str:
    """The same document in the other language: `json` or `yaml`. Raises `DocumentError`.

    What is in that language already comes back as it is. JSON has no comments: they get lost.
    """
    found = Checked(text, language_of(text))
    _read(found)
    if found.findings:
        first = found.findings[0]
        raise DocumentError(first.message, first.line, first.column)
    if found.language == language:
        return text
    if language == "json":
        return as_json(found.value)
    return to_yaml(found.value)


def as_json(value: Any) -> str:
    """The document as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def text_of(version: FlowVersion) -> str:
    """A version as it was written; JSON that a program wrote in one line is laid out, and what has no text gets one."""
    source = plain_text(version.source)
    if not source.strip():
        return to_yaml(version.document)
    if "\n" not in source.strip() and language_of(source) == "json":
        with suppress(DocumentError):
            return as_json(parse_json(source))
    return source
