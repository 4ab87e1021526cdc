"""Requests of the editor's script: validation, conversion, completions and dry runs. Nothing is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from flows.api.dry_run import handle_dry_run
from flows.console.base import ADD, CHANGE, VIEW_EVENT, respond_json
from flows.definition.editor.autocomplete import collect_event_paths, collect_words
from flows.definition.editor.locations import MAX_LOCATED_LENGTH
from flows.definition.editor.report import (
    ValidationReport,
    convert_text,
    has_comments,
    locate_steps,
    normalize_text,
    validate_text,
)
from flows.diagram import make_step_anchor, render_diagram
from flows.engine.event_history import find_recent_events
from flows.models import Event, Flow
from flyte_site.console.pages import require_perm
from flyte_site.core.secrets.redaction import redact_keys
from flyte_site.http.input.parsing import DocumentError
from flyte_site.http.problems import ErrorItem, Problem, invalid_input

MAX_EVENTS_PER_PAIR = 10
MAX_PAIRS = 20


@require_POST
def check_text(request: HttpRequest) -> HttpResponse:
    """Validate `{text, flow?}`; return `{language, findings, diagram, steps, name}`. `flow` is the id of the edited
    flow.
    """
    require_perm(request, ADD, CHANGE)
    return respond_json(request, _check_flow_text)


def _check_flow_text(data: Mapping[str, Any]) -> Mapping[str, Any]:
    report = validate_text(_require_text(data, "text"), _find_edited_flow(data.get("flow")))
    is_mapping = isinstance(report.value, dict)
    return {
        "language": report.language,
        "findings": [asdict(issue) for issue in report.issues],
        "diagram": render_diagram(report.value) if is_mapping else None,
        "steps": [asdict(step) | {"anchor": make_step_anchor(step.id)} for step in locate_steps(report)],
        "name": report.definition.name if report.definition else "",
    }


def _find_edited_flow(pk: Any) -> Flow | None:
    return Flow.objects.filter(pk=pk).first() if isinstance(pk, int) and 0 < pk < 2**63 else None


@require_POST
def convert(request: HttpRequest) -> HttpResponse:
    """Convert `{text, to, anyway?}`; return `{text}`, or `{comments: true}` if JSON would lose them, unless
    `anyway`.
    """
    require_perm(request, ADD, CHANGE)
    return respond_json(request, _convert_flow_text)


def _convert_flow_text(data: Mapping[str, Any]) -> Mapping[str, Any]:
    text, language = _require_text(data, "text"), data.get("to")
    if language not in ("json", "yaml"):
        raise invalid_input({"path": "to", "message": "must be json or yaml"})
    try:
        converted_text = convert_text(text, language)
    except DocumentError as error:
        raise invalid_input({"path": "text", "message": f"{error.message} (line {error.line or 1})"}) from None
    if language == "json" and converted_text != text and has_comments(text) and data.get("anyway") is not True:
        return {"comments": True}
    return {"text": converted_text}


@require_GET
def list_words(request: HttpRequest) -> HttpResponse:
    """Return names and words for completions: see `flows.definition.editor.autocomplete.collect_words`."""
    require_perm(request, ADD, CHANGE)
    return JsonResponse(collect_words())


@require_POST
def list_recent_events(request: HttpRequest) -> HttpResponse:
    """Return `{html, paths, payloads}` of `{pairs: [[pack, event], …]}`: their last stored events, redacted.

    `paths` and `payloads` are by `pack.event`: the template paths of these events, and the last one's payload.
    """
    require_perm(request, CHANGE)
    require_perm(request, VIEW_EVENT)
    return respond_json(request, _list_recent_events)


def _list_recent_events(data: Mapping[str, Any]) -> Mapping[str, Any]:
    events_by_pair = {
        pair: find_recent_events(*pair, limit=MAX_EVENTS_PER_PAIR) for pair in _parse_pairs(data.get("pairs"))
    }
    groups = [
        {"pack": pack, "event": name, "events": _build_event_choices(rows)}
        for (pack, name), rows in events_by_pair.items()
    ]
    events_by_name = {f"{pack}.{name}": rows for (pack, name), rows in events_by_pair.items() if rows}
    return {
        "html": render_to_string("console/flow_events.html", {"groups": groups}),
        "paths": {key: collect_event_paths(rows) for key, rows in events_by_name.items()},
        "payloads": {key: redact_keys(rows[0].payload) for key, rows in events_by_name.items()},
    }


def _parse_pairs(value: Any) -> list[tuple[str, str]]:
    pairs = value[:MAX_PAIRS] if isinstance(value, list) else []
    if not all(isinstance(pair, list) and [type(name) for name in pair] == [str, str] for pair in pairs):
        raise invalid_input({"path": "pairs", "message": "must be a list of pack and event names"})
    clipped_pairs = [tuple(name.replace("\x00", "")[:255] for name in pair) for pair in pairs]
    return [(pair[0], pair[1]) for pair in dict.fromkeys(clipped_pairs) if all(pair)]


def _build_event_choices(rows: Sequence[Event]) -> list[dict[str, Any]]:
    return [{"row": row, "payload": redact_keys(row.payload), "is_too_large": bool(row.payload_bytes)} for row in rows]


@require_POST
def dry_run_text(request: HttpRequest) -> HttpResponse:
    """Run `{flow: text, event | eventId, results}`, as in `flows.api.dry_run`; return `{html}`. Writes nothing."""
    require_perm(request, CHANGE)
    require_perm(request, VIEW_EVENT)
    return respond_json(request, _dry_run_flow_text)


def _dry_run_flow_text(data: Mapping[str, Any]) -> Mapping[str, Any]:
    text = _require_text(data, "flow")
    report = validate_text(text)
    if report.errors:
        first_error = report.errors[0]
        message = f"{first_error.path}: {first_error.message}" if first_error.path else first_error.message
        errors: list[ErrorItem] = [
            {"path": "flow", "message": message, "line": first_error.line, "column": first_error.column},
        ]
        return {"html": render_to_string("console/flow_tried.html", {"errors": errors}), "failed": True}
    try:
        result = handle_dry_run({**data, "flow": report.value})
    except Problem as problem:
        errors = problem.errors or [{"path": "", "message": problem.detail}]
        return {"html": render_to_string("console/flow_tried.html", {"errors": errors}), "failed": True}
    for step in result["steps"]:
        _add_locations(step, report)
    return {"html": render_to_string("console/flow_tried.html", {"dry_run": result}), "failed": False}


def _add_locations(step: dict[str, Any], report: ValidationReport) -> None:
    """Add the position in the text to each error and warning of a step, and to the step."""
    lines_by_step = {location.id: location.line for location in locate_steps(report)}
    step["line"] = lines_by_step.get(step["stepId"], 1)
    for issue in [*step.get("errors", []), *step.get("warnings", [])]:
        issue["line"], issue["column"] = report.locate(issue["path"], issue["line"], issue["column"])


def _require_text(data: Mapping[str, Any], key: str) -> str:
    text = data.get(key)
    if not isinstance(text, str):
        raise invalid_input({"path": key, "message": "must be text"})
    if len(text) > MAX_LOCATED_LENGTH:
        raise invalid_input({"path": key, "message": f"must have at most {MAX_LOCATED_LENGTH:,} characters"})
    return normalize_text(text)
