"""Recorded outputs of the original server's templates, and a runner of those cases."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from flows.template import RenderContext, TemplateError, compile_value, mark_stored_text

DATA = Path(__file__).resolve().parent.parent / "data" / "templates"
SHARED = json.loads((DATA / "shared.json").read_text())
NEVER = datetime(1, 1, 1, tzinfo=UTC)

ERROR = "<an error>"


class Case(NamedTuple):
    """A recorded case. template: any JSON value. original: its output, or ERROR. shape_only: the output varies."""

    number: int
    template: Any
    variables: dict[str, Any]
    datastore: dict[str, Any]
    original: Any
    shape_only: bool

    def ours(self, template: Any = None, **event: Any) -> Any:
        """Return the output here of the template, or of another one instead; `event`: fields to set in the event."""
        variables = {**self.variables, "Event": {**self.variables.get("Event", {}), **event}}
        return resolve(self.template if template is None else template, variables, self.datastore)

    @property
    def text(self) -> str:
        """The template if it is a string, otherwise an empty text."""
        return self.template if isinstance(self.template, str) else ""

    def __str__(self) -> str:
        return f"{self.number} {json.dumps(self.template, ensure_ascii=False)}"


def resolve(template: Any, variables: dict[str, Any], datastore: dict[str, Any]) -> Any:
    """Return the template's value, or ERROR."""
    problems: list[TemplateError] = []
    compiled = compile_value(template, "input", problems)
    if problems:
        return ERROR
    try:
        return compiled.render(RenderContext(variables, reader(datastore)))
    except TemplateError:
        return ERROR


def reader(items: dict[str, Any]) -> Callable[[str], object]:
    """Return a reader of these datastore items: a text or a JSON value, or `{contentType, value}`."""

    def read(key: str) -> object:
        if key not in items:
            raise KeyError(f"datastore item {key!r} not found")
        item = items[key]
        if not isinstance(item, dict) or set(item) != {"contentType", "value"}:
            return item
        content_type = item["contentType"]
        subtype = item["contentType"].partition(";")[0].strip().partition("/")[2]
        if subtype != "json" and not subtype.endswith("+json"):
            return mark_stored_text(item["value"], key, content_type)
        try:
            return json.loads(item["value"])
        except ValueError:
            raise LookupError(f"can't read datastore item {key!r}, stored as {content_type}: invalid JSON") from None

    return read


def _variables(context: Any) -> dict[str, Any]:
    variables = SHARED["contexts"][context] if isinstance(context, str) else context or {}
    event = variables.get("Event")
    if not isinstance(event, dict):
        return dict(variables)
    # In the original, an event always has its times; if the recording has none, they are the zero time.
    return {**variables, "Event": {"CreatedAt": NEVER, "ReceivedAt": NEVER, **event}}


def _case(number: int, line: str) -> Case:
    recorded = json.loads(line)
    store, result = recorded.get("datastore"), recorded["result"]
    return Case(
        number,
        recorded["template"],
        _variables(recorded.get("context")),
        SHARED["datastores"][store] if isinstance(store, str) else store or {},
        ERROR if result.get("error") else result["ok"],
        recorded.get("nondeterministic", False),
    )


CASES = [_case(number, line) for number, line in enumerate((DATA / "cases.jsonl").read_text().splitlines(), 1)]
