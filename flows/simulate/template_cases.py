"""Template test cases from files: templates with their variables, and their results."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datastore.lookup import decode_value
from flow_files.errors import describe_read_error
from flows.template import RenderContext, TemplateError, TemplateWarning, compile_value, mark_stored_text
from flyte_formats.decoding import decode_text
from flyte_formats.output import format_json
from flyte_site.http.input.parsing import parse_json

# In the original an event always has its times; the default is Go's zero time.
GO_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)


class TemplateCaseError(ValueError):
    """An invalid file of template cases."""


@dataclass(frozen=True)
class TemplateCase:
    """A template (a text, or any JSON value with template strings) with its variables and datastore items.

    An item is a text, any JSON value, or `{"contentType": …, "value": text}`.
    """

    template: Any
    variables: Mapping[str, Any]
    items: Mapping[str, Any]

    def get_item(self, key: str) -> object:
        """Return the datastore's value. Raises `KeyError` or `LookupError`."""
        if key not in self.items:
            raise KeyError(f"datastore item {key!r} not found")
        item = self.items[key]
        if not isinstance(item, Mapping) or set(item) != {"contentType", "value"}:
            return item
        content_type = str(item["contentType"])
        try:
            return mark_stored_text(decode_value(str(item["value"]).encode(), content_type), key, content_type)
        except ValueError as error:
            raise LookupError(f"can't read datastore item {key!r}, stored as {content_type}: {error}") from None


def resolve_template(template: Any, evaluation: RenderContext) -> tuple[Any, tuple[TemplateWarning, ...]]:
    """Render a template; return its result and warnings. Raises the first `TemplateError`."""
    errors: list[TemplateError] = []
    compiled = compile_value(template, "", errors)
    if errors:
        raise errors[0]
    evaluation.collected_warnings = []
    value = compiled.render(evaluation)
    return value, (*compiled.iter_warnings(), *evaluation.collected_warnings)


def run_case(case: TemplateCase) -> dict[str, Any]:
    """Run a case: return `{"ok": value}`, or `{"error": text with line and column}`."""
    try:
        value, _ = resolve_template(case.template, RenderContext(dict(case.variables), case.get_item))
    except TemplateError as error:
        return {"error": str(error)}
    return {"ok": value}


def read_cases(file: Path) -> Iterator[TemplateCase]:
    """Read the cases of a file, one JSON object per line.

    `context` and `datastore` are mappings, or names in `shared.json` in the same folder. Raises `TemplateCaseError`.
    """
    shared_file = file.with_name("shared.json")
    shared = read_json(shared_file) if shared_file.exists() else {}
    try:
        lines = decode_text(file.read_bytes(), errors="strict").split("\n")
    except (OSError, ValueError) as error:
        raise TemplateCaseError(f"{file}: {describe_read_error(error)}") from None
    for line_number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse_case(line, shared, f"{file}:{line_number}")


def _parse_case(line: str, shared: Mapping[str, Any], location: str) -> TemplateCase:
    try:
        data = parse_json(line)
        if not isinstance(data, dict) or "template" not in data:
            raise ValueError("must be an object with a template")
        context = _resolve_named(data.get("context"), shared.get("contexts", {}), "context")
        items = _resolve_named(data.get("datastore"), shared.get("datastores", {}), "datastore")
    except ValueError as error:
        raise TemplateCaseError(f"{location}: {error}") from None
    return TemplateCase(data["template"], add_event_times(context), items)


def _resolve_named(value: Any, named_values: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        if value not in named_values:
            raise ValueError(f"{kind} {value!r} not found in shared.json")
        value = named_values[value]
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{kind} must be an object or a name")
    return value or {}


def add_event_times(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables, with default times for the event."""
    event = variables.get("Event")
    if not isinstance(event, Mapping):
        return dict(variables)
    return {**variables, "Event": {"CreatedAt": GO_ZERO_TIME, "ReceivedAt": GO_ZERO_TIME, **event}}


def build_event_variables(event: Any) -> dict[str, Any]:
    """Return the variable `Event` for an event as posted by packs or shown by the audit. Raises `TemplateCaseError`."""
    if not isinstance(event, Mapping) or (event and "event" not in event):
        raise TemplateCaseError(
            'the event must be an object such as {"event": "Name", "payload": …}, or an event from the audit API'
        )
    raw_pack = event.get("pack")
    pack: Mapping[str, Any] = raw_pack if isinstance(raw_pack, Mapping) else {}
    event_fields = {
        "Name": event.get("event", ""),
        "Pack": {"Id": pack.get("id", ""), "Name": pack.get("name", ""), "Labels": pack.get("labels", {})},
        "Payload": event.get("payload"),
    }
    times = {"CreatedAt": event.get("createdAt"), "ReceivedAt": event.get("receivedAt")}
    return event_fields | {name: value for name, value in times.items() if value}


def read_json(file: Path) -> Any:
    """Read a file's JSON value. Raises `TemplateCaseError`."""
    try:
        return parse_json(decode_text(file.read_bytes(), errors="strict"))
    except (OSError, ValueError) as error:
        raise TemplateCaseError(f"{file}: {describe_read_error(error)}") from None


def to_json_line(value: Any) -> str:
    """Format a value as one line of JSON."""
    return format_json(value, default=str)
