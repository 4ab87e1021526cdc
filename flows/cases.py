"""Templates to try, as files hold them: what they are, what they see, and what they yield."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datastore.lookup import decode_value
from flows.lang import RenderContext, TemplateError, TemplateWarning, compile_value
from flyte_site.rest.documents import parse_json

# In the original an event always has its times; where none are given they are Go's zero time.
NEVER = datetime(1, 1, 1, tzinfo=UTC)


class CaseError(ValueError):
    """The file of cases can't be used."""


@dataclass(frozen=True)
class Case:
    """A template – a text, or any JSON value whose texts are templates – with the variables and items that it sees.

    An item is a text, any JSON value, or `{"contentType": …, "value": text}`.
    """

    template: Any
    variables: Mapping[str, Any]
    items: Mapping[str, Any]

    def item(self, key: str) -> object:
        """The datastore's value. Raises `LookupError`."""
        if key not in self.items:
            raise LookupError(f"the datastore has no item {key!r}")
        item = self.items[key]
        if not isinstance(item, Mapping) or set(item) != {"contentType", "value"}:
            return item
        try:
            return decode_value(str(item["value"]).encode(), str(item["contentType"]))
        except ValueError as error:
            raise LookupError(f"the datastore's item {key!r} can't be read: {error}") from None


def resolve(template: Any, evaluation: RenderContext) -> tuple[Any, tuple[TemplateWarning, ...]]:
    """What a template yields, and what about it may not be meant. Raises the first `TemplateError`."""
    problems: list[TemplateError] = []
    compiled = compile_value(template, "", problems)
    if problems:
        raise problems[0]
    return compiled.render(evaluation), compiled.warnings


def answer(case: Case) -> dict[str, Any]:
    """What a case yields: `{"ok": value}`, or `{"error": text with line and column}`."""
    try:
        value, _ = resolve(case.template, RenderContext(dict(case.variables), case.item))
    except TemplateError as error:
        return {"error": str(error)}
    return {"ok": value}


def read_cases(file: Path) -> Iterator[Case]:
    """The cases of a file, one JSON object a line.

    `context` and `datastore` are mappings, or names in `shared.json` beside the file. Raises `CaseError`.
    """
    beside = file.with_name("shared.json")
    shared = read_json(beside) if beside.exists() else {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            yield _case(line, shared, f"{file}:{number}")


def _case(line: str, shared: Mapping[str, Any], place: str) -> Case:
    try:
        found = parse_json(line)
        if not isinstance(found, dict) or "template" not in found:
            raise ValueError("must be an object with a template")
        context = _named(found.get("context"), shared.get("contexts", {}), "context")
        items = _named(found.get("datastore"), shared.get("datastores", {}), "datastore")
    except ValueError as error:
        raise CaseError(f"{place}: {error}") from None
    return Case(found["template"], with_times(context), items)


def _named(value: Any, shared: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if isinstance(value, str):
        if value not in shared:
            raise ValueError(f"shared.json has no {kind} {value!r}")
        value = shared[value]
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{kind} must be an object or a name")
    return value or {}


def with_times(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables, with an event that has its times."""
    event = variables.get("Event")
    if not isinstance(event, Mapping):
        return dict(variables)
    return {**variables, "Event": {"CreatedAt": NEVER, "ReceivedAt": NEVER, **event}}


def event_variables(event: Any) -> dict[str, Any]:
    """`Event` as templates see it, of an event as packs post it or as the audit shows it. Raises `CaseError`."""
    if not isinstance(event, Mapping) or (event and "event" not in event):
        raise CaseError('the event must be an object such as {"event": "Name", "payload": …}, or one of the audit\'s')
    given = event.get("pack")
    pack: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    shown = {
        "Name": event.get("event", ""),
        "Pack": {"Id": pack.get("id", ""), "Name": pack.get("name", ""), "Labels": pack.get("labels", {})},
        "Payload": event.get("payload"),
    }
    times = {"CreatedAt": event.get("createdAt"), "ReceivedAt": event.get("receivedAt")}
    return shown | {name: time for name, time in times.items() if time}


def read_json(file: Path) -> Any:
    """A file's JSON value. Raises `CaseError`."""
    try:
        return parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CaseError(f"{file}: {error}") from None


def to_line(value: Any) -> str:
    """A value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)
