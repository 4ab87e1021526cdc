"""Dry runs in the API: a flow document, an event or the id of a stored one, and simulated results."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from flows.api.serializers import AnyJSONField, EventInput, TimeField
from flows.definition import FLOW_TEXT_FIELDS, FlowDefinition, FlowIssue, FlowValidationError, parse_flow
from flows.definition.checks.registry import find_registry_warnings
from flows.definition.editor.locations import locate_issues
from flows.engine.step import EventSource, IncomingEvent
from flows.models import Event as EventRow
from flows.simulate.dry_run import DryRunTimeoutError, SimulatedResult, dry_run_flow
from flyte_site.core.secrets.redaction import redact_keys
from flyte_site.http.input.body import to_error_item
from flyte_site.http.input.fields import InputSerializer, LabelsField, StrictTextField
from flyte_site.http.input.parsing import STRING, DocumentError, parse_json, parse_yaml
from flyte_site.http.problems import ErrorItem, Problem, invalid_input, not_found
from flyte_time.times import read_time
from packs.models import Pack, build_pack_id

_EVENT_TEXT_FIELDS: dict[str, Any] = {
    "event": STRING,
    "createdat": STRING,
    "pack": {"id": STRING, "name": STRING, "labels": {"*": STRING}},
}
DRY_RUN_TEXT_FIELDS: dict[str, Any] = {
    "flow": FLOW_TEXT_FIELDS,
    "event": _EVENT_TEXT_FIELDS,
    "eventid": STRING,
    "results": {"*": _EVENT_TEXT_FIELDS},
}


class DryRunPackInput(InputSerializer):
    """The sender of an event: the id of a registered pack, or a name with labels."""

    id = StrictTextField(default="")
    name = StrictTextField(default="")
    labels = LabelsField(required=False, default=dict)


class DryRunEventInput(EventInput):
    """An event as posted by packs, or as returned by the audit API."""

    pack = DryRunPackInput(required=False, allow_null=True, default=None)
    createdAt = TimeField(required=False, allow_null=True, default=None)  # noqa: N815


class DryRunInput(InputSerializer):
    """The input of a dry run. `flow` is a flow document, or its text in YAML or JSON."""

    flow = AnyJSONField()
    event = DryRunEventInput(required=False, allow_null=True, default=None)
    eventId = StrictTextField(default="", help_text="The id of a stored event, instead of `event`.")  # noqa: N815
    results = serializers.DictField(
        child=DryRunEventInput(), required=False, default=dict, help_text="Simulated results of actions, by step id."
    )


def handle_dry_run(data: Any, body: tuple[str, bool] | None = None) -> dict[str, Any]:
    """Run the dry run that the request describes as `DryRunInput`; return it as `DryRunSchema` renders it.

    `body` is the text that `data` was parsed from, and whether it is YAML. Raises `Problem`: 400 for invalid input,
    each error with its path (and line); 404 if the stored event is not found.
    """
    try:
        dry_run_input = DryRunInput().parse_values(data)
    except Problem as problem:
        raise invalid_input(*(problem.errors or []), *_find_flow_errors(data, body)) from None
    definition = parse_flow_input(dry_run_input["flow"], body)
    if bool(dry_run_input["event"]) == bool(dry_run_input["eventId"]):
        raise invalid_input({"path": "event", "message": "required: an event, or the eventId of a stored one"})
    if dry_run_input["eventId"]:
        event, was_masked = load_event(dry_run_input["eventId"])
    else:
        event, was_masked = build_event(dry_run_input["event"], definition), False
    try:
        result = dry_run_flow(definition, event, build_simulated_results(dry_run_input["results"], definition))
    except DryRunTimeoutError as error:
        raise invalid_input({"path": "flow", "message": str(error)}) from None
    result.notes += find_naive_times(data)
    warnings = [*definition.warnings, *find_registry_warnings(definition)]
    return {**result.to_json(), "eventMasked": was_masked, "warnings": [asdict(issue) for issue in warnings]}


def find_naive_times(data: Mapping[str, Any]) -> list[FlowIssue]:
    """Return a note for each `createdAt` of a valid input that has no time zone."""
    results = _get_ignoring_case(data, "results") or {}
    events = {"event": _get_ignoring_case(data, "event")}
    events |= {f"results.{step_id}": event for step_id, event in results.items()}
    times = {path: _get_ignoring_case(event, "createdAt") for path, event in events.items() if event}
    return [
        FlowIssue(f"{path}.createdAt", f"the time {str(value)[:60]!r} has no time zone and is read as UTC")
        for path, value in times.items()
        if value is not None and read_time(value).is_naive
    ]


def _get_ignoring_case(data: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in data.items() if key.lower() == name.lower()), None)


def _find_flow_errors(data: Any, body: tuple[str, bool] | None) -> list[ErrorItem]:
    """Find the errors of the flow in an input that has other errors, so that all are reported at once."""
    if not isinstance(data, Mapping) or not data.get("flow"):
        return []
    try:
        parse_flow_input(data["flow"], body)
    except Problem as problem:
        return problem.errors or []
    return []


def parse_flow_input(data: Any, body: tuple[str, bool] | None = None) -> FlowDefinition:
    """Parse the flow in a document or text. Raises `Problem` 400 with every error and its position.

    The position of an error is in the text of the flow; for a flow in a document, in `body`.
    """
    is_yaml, root = False, "flow"
    try:
        if isinstance(data, str):
            root, text = "", data
            data, is_yaml = parse_flow_text(data)
        else:
            text, is_yaml = body or ("", False)
        return parse_flow(data)
    except DocumentError as error:
        raise invalid_input(to_error_item(error, "flow")) from None
    except FlowValidationError as error:
        issues = locate_issues(error.errors, text, is_json=not is_yaml, root=root) if text else error.errors
        raise invalid_input(
            *(_to_flow_error(issue.path, issue.message, issue.line, issue.column) for issue in issues)
        ) from None


def parse_flow_text(text: str) -> tuple[Any, bool]:
    """Parse a text in JSON or YAML; return the value and whether it is YAML. Raises `DocumentError`."""
    if text.lstrip().startswith("{"):
        with suppress(DocumentError):
            return parse_json(text, unique_keys=True), False
    return parse_yaml(text, FLOW_TEXT_FIELDS, unique_keys=True), True


def _to_flow_error(path: str, message: str, line: int, column: int) -> ErrorItem:
    error: ErrorItem = {"path": f"flow.{path}" if path else "flow", "message": message}
    if line:
        error |= {"line": line, "column": column}
    return error


def load_event(event_id: str) -> tuple[IncomingEvent, bool]:
    """Return a stored event, redacted, and whether anything was redacted. Raises `Problem`."""
    row = EventRow.objects.filter(id=event_id).first()
    if row is None:
        raise not_found(f"event {event_id!r}")
    if row.payload_bytes:
        message = f"payload of {row.payload_bytes} bytes was too large to be stored; send the event itself"
        raise invalid_input({"path": "eventId", "message": message})
    payload = redact_keys(row.payload)
    source = EventSource(row.pack_identity, row.pack_name, row.pack_labels)
    return IncomingEvent(source, row.name, payload, row.created_at, row.received_at), payload != row.payload


def build_event(event_input: Mapping[str, Any], definition: FlowDefinition) -> IncomingEvent:
    """Build the input's event; if it names no pack, from the pack that the flow subscribes to."""
    now = timezone.now()
    pack_name = _choose_pack_name(definition, event_input["event"])
    source = resolve_source(event_input["pack"], "event.pack") or EventSource(pack_name, pack_name, {})
    return IncomingEvent(source, event_input["event"], event_input["payload"], event_input["createdAt"] or now, now)


def _choose_pack_name(definition: FlowDefinition, event_name: str) -> str:
    triggers = sorted(definition.triggers, key=lambda step: step.event.name != event_name)
    return triggers[0].event.pack_name if triggers else ""


def resolve_source(pack_input: Mapping[str, Any] | None, path: str) -> EventSource | None:
    """Return the pack of the input; None if it names none. Raises `Problem` 400."""
    if not pack_input or not (pack_input["id"] or pack_input["name"]):
        return None
    if pack_input["name"]:
        identity = pack_input["id"] or build_pack_id(pack_input["name"], pack_input["labels"])
        return EventSource(identity, pack_input["name"], pack_input["labels"])
    pack = Pack.objects.filter(identity=pack_input["id"]).first()
    if pack is None:
        message = f"no pack {pack_input['id'][:100]!r} is registered; send its name and labels instead"
        raise invalid_input({"path": f"{path}.id", "message": message})
    return EventSource.of_pack(pack)


def build_simulated_results(
    results: Mapping[str, Mapping[str, Any]], definition: FlowDefinition
) -> dict[str, SimulatedResult]:
    """Build the simulated results of the input. Raises `Problem` 400."""
    step_ids = {step.id for step in definition.steps}
    unknown_errors: list[ErrorItem] = [
        {"path": f"results.{step_id}", "message": f"unknown step {step_id!r}"}
        for step_id in results
        if step_id not in step_ids
    ]
    if unknown_errors:
        raise invalid_input(*unknown_errors)
    return {
        step_id: SimulatedResult(
            event_input["event"],
            event_input["payload"],
            resolve_source(event_input["pack"], f"results.{step_id}.pack"),
            event_input["createdAt"],
        )
        for step_id, event_input in results.items()
    }
