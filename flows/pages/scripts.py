"""What the editor's script asks the server while somebody writes: nothing here changes anything."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_POST

from flows.checking import MAX_TEXT, Checked, check, converted, has_comments, plain_text, steps_of
from flows.completion import event_paths, words
from flows.drawing import render_diagram
from flows.kept import recent_events
from flows.models import Event, Flow
from flows.pages.frame import ADD, CHANGE, VIEW_EVENT, answered, need
from flows.trying import try_flow
from flyte_site.masking import masked
from flyte_site.rest.documents import DocumentError
from flyte_site.rest.problems import InputError, Problem, bad_input

MOST_EVENTS = 10
MOST_PAIRS = 20


@require_POST
def check_text(request: HttpRequest) -> HttpResponse:
    """`{text, flow?}` → `{language, findings, drawing, steps, name}`; `flow` is the id of the flow that is edited."""
    need(request, ADD, CHANGE)
    return answered(request, _checked)


def _checked(value: Mapping[str, Any]) -> Mapping[str, Any]:
    found = check(_text(value, "text"), _edited(value.get("flow")))
    is_mapping = isinstance(found.value, dict)
    return {
        "language": found.language,
        "findings": [asdict(one) for one in found.findings],
        "drawing": render_diagram(found.value) if is_mapping else None,
        "steps": [asdict(step) for step in steps_of(found)],
        "name": found.document.name if found.document else "",
    }


def _edited(pk: Any) -> Flow | None:
    return Flow.objects.filter(pk=pk).first() if isinstance(pk, int) and 0 < pk < 2**63 else None


@require_POST
def convert(request: HttpRequest) -> HttpResponse:
    """`{text, to, anyway?}` → `{text}`; or `{comments: true}` where JSON would lose them, unless `anyway`."""
    need(request, ADD, CHANGE)
    return answered(request, _converted)


def _converted(value: Mapping[str, Any]) -> Mapping[str, Any]:
    text, language = _text(value, "text"), value.get("to")
    if language not in ("json", "yaml"):
        raise bad_input({"path": "to", "message": "must be json or yaml"})
    try:
        written = converted(text, language)
    except DocumentError as error:
        raise bad_input({"path": "text", "message": f"{error.message} (line {error.line or 1})"}) from None
    if language == "json" and written != text and has_comments(text) and value.get("anyway") is not True:
        return {"comments": True}
    return {"text": written}


@require_GET
def known_words(request: HttpRequest) -> HttpResponse:
    """Names and words to complete: see `flows.completion.words`."""
    need(request, ADD, CHANGE)
    return JsonResponse(words())


@require_POST
def kept_events(request: HttpRequest) -> HttpResponse:
    """`{pairs: [[pack, event], …]}` → `{html, paths, payloads}`: the last kept events of these, masked.

    `paths` and `payloads` are by `pack.event`: what templates can say of them, and the last one's payload.
    """
    need(request, CHANGE)
    need(request, VIEW_EVENT)
    return answered(request, _kept)


def _kept(value: Mapping[str, Any]) -> Mapping[str, Any]:
    found = {pair: recent_events(*pair, limit=MOST_EVENTS) for pair in _pairs(value.get("pairs"))}
    groups = [{"pack": pack, "event": name, "events": _choices(rows)} for (pack, name), rows in found.items()]
    kept = {f"{pack}.{name}": rows for (pack, name), rows in found.items() if rows}
    return {
        "html": render_to_string("console/flow_events.html", {"groups": groups}),
        "paths": {key: event_paths(rows) for key, rows in kept.items()},
        "payloads": {key: masked(rows[0].payload) for key, rows in kept.items()},
    }


def _pairs(value: Any) -> list[tuple[str, str]]:
    pairs = value[:MOST_PAIRS] if isinstance(value, list) else []
    if not all(isinstance(pair, list) and [type(one) for one in pair] == [str, str] for pair in pairs):
        raise bad_input({"path": "pairs", "message": "must be a list of pack and event names"})
    cut = [tuple(one.replace("\x00", "")[:255] for one in pair) for pair in pairs]
    return [(pair[0], pair[1]) for pair in dict.fromkeys(cut) if all(pair)]


def _choices(rows: Sequence[Event]) -> list[dict[str, Any]]:
    return [{"row": row, "payload": masked(row.payload), "lost": bool(row.payload_bytes)} for row in rows]


@require_POST
def try_text(request: HttpRequest) -> HttpResponse:
    """`{flow: text, event | eventId, results}`, as `flows.trying` takes it → `{html}`. Nothing is queued or written."""
    need(request, CHANGE)
    need(request, VIEW_EVENT)
    return answered(request, _tried)


def _tried(value: Mapping[str, Any]) -> Mapping[str, Any]:
    text = _text(value, "flow")
    found = check(text)
    if found.errors:
        first = found.errors[0]
        message = f"{first.path}: {first.message}" if first.path else first.message
        errors: list[InputError] = [
            {"path": "flow", "message": message, "line": first.line, "column": first.column},
        ]
        return {"html": render_to_string("console/flow_tried.html", {"errors": errors}), "failed": True}
    try:
        done = try_flow({**value, "flow": found.value})
    except Problem as problem:
        errors = problem.errors or [{"path": "", "message": problem.detail}]
        return {"html": render_to_string("console/flow_tried.html", {"errors": errors}), "failed": True}
    for step in done["steps"]:
        _locate(step, found)
    return {"html": render_to_string("console/flow_tried.html", {"tried": done}), "failed": False}


def _locate(step: dict[str, Any], found: Checked) -> None:
    """Give each error of a step its place in the text, and the step its own."""
    ids = {one.id: one.line for one in steps_of(found)}
    step["line"] = ids.get(step["stepId"], 1)
    for error in step.get("errors", []):
        error["line"], error["column"] = found.find(error["path"], error["line"], error["column"])


def _text(value: Mapping[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise bad_input({"path": key, "message": "must be text"})
    if len(text) > MAX_TEXT:
        raise bad_input({"path": key, "message": f"must have at most {MAX_TEXT:,} characters"})
    return plain_text(text)
