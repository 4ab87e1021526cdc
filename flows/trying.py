"""Trying a flow, as people and programs ask for it: a document, an event or the id of a kept one, pretended results."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from flows.document import FLOW_TEXT_FIELDS, FlowDefinition, FlowValidationError, parse_flow
from flows.dry_run import Pretended, TooLongError, dry_run
from flows.models import Event as EventRow
from flows.registered import registry_warnings
from flows.serializers import AnyValue, EventInput, Moment
from flows.steps import Event, PackSeen
from flyte_site.masking import masked
from flyte_site.rest.bodies import located
from flyte_site.rest.documents import TEXT, DocumentError, parse_json, parse_yaml
from flyte_site.rest.fields import InputSerializer, Labels, Text
from flyte_site.rest.problems import InputError, bad_input, not_found
from packs.models import Pack, pack_id

_EVENT_TEXT: dict[str, Any] = {
    "event": TEXT,
    "createdat": TEXT,
    "pack": {"id": TEXT, "name": TEXT, "labels": {"*": TEXT}},
}
TRY_TEXT_PLACES: dict[str, Any] = {
    "flow": FLOW_TEXT_FIELDS,
    "event": _EVENT_TEXT,
    "eventid": TEXT,
    "results": {"*": _EVENT_TEXT},
}


class TriedPack(InputSerializer):
    """Who sends an event: the id of a registered pack, or a name with labels."""

    id = Text(default="")
    name = Text(default="")
    labels = Labels(required=False, default=dict)


class TriedEvent(EventInput):
    """An event as packs post it, or as the audit shows it."""

    pack = TriedPack(required=False, allow_null=True, default=None)
    createdAt = Moment(required=False, allow_null=True, default=None)  # noqa: N815


class TryInput(InputSerializer):
    """What to try. `flow` is a flow document, or its text in YAML or JSON."""

    flow = AnyValue()
    event = TriedEvent(required=False, allow_null=True, default=None)
    eventId = Text(default="", help_text="A kept event, instead of `event`.")  # noqa: N815
    results = serializers.DictField(
        child=TriedEvent(), required=False, default=dict, help_text="By step id, what its action is to end with."
    )


def try_flow(value: Any) -> dict[str, Any]:
    """The dry run that `value`, of `TryInput`'s shape, asks for, as `DryRun.shown` gives it.

    Raises `Problem`: 400 where something of the input is wrong, each error with its path (and line); 404 where there is
    no such event.
    """
    asked = TryInput().valid(value)
    document = read_flow(asked["flow"])
    if bool(asked["event"]) == bool(asked["eventId"]):
        raise bad_input({"path": "event", "message": "give an event, or the eventId of a kept one"})
    if asked["eventId"]:
        event, hidden = kept_event(asked["eventId"])
    else:
        event, hidden = given_event(asked["event"], document), False
    try:
        done = dry_run(document, event, pretended(asked["results"], document))
    except TooLongError as error:
        raise bad_input({"path": "flow", "message": str(error)}) from None
    warnings = [*document.warnings, *registry_warnings(document)]
    return {**done.shown(), "eventMasked": hidden, "warnings": [asdict(one) for one in warnings]}


def read_flow(value: Any) -> FlowDefinition:
    """The flow in a document, or in its text. Raises `Problem` 400 with every error and its place."""
    try:
        return parse_flow(read_text(value) if isinstance(value, str) else value)
    except DocumentError as error:
        raise bad_input(located(error, "flow")) from None
    except FlowValidationError as error:
        raise bad_input(*(_in_flow(one.path, one.message, one.line, one.column) for one in error.errors)) from None


def read_text(text: str) -> Any:
    """The value of a text in JSON or YAML. Raises `DocumentError`."""
    if text.lstrip().startswith("{"):
        with suppress(DocumentError):
            return parse_json(text, unique_keys=True)
    return parse_yaml(text, FLOW_TEXT_FIELDS, unique_keys=True)


def _in_flow(path: str, message: str, line: int, column: int) -> InputError:
    error: InputError = {"path": f"flow.{path}" if path else "flow", "message": message}
    if line:
        error |= {"line": line, "column": column}
    return error


def kept_event(event_id: str) -> tuple[Event, bool]:
    """A kept event, masked, and whether that hid anything. Raises `Problem`."""
    row = EventRow.objects.filter(id=event_id).first()
    if row is None:
        raise not_found(f"event {event_id!r}")
    if row.payload_bytes:
        message = f"its payload of {row.payload_bytes} bytes was too large to be kept; give the event itself"
        raise bad_input({"path": "eventId", "message": message})
    payload = masked(row.payload)
    pack = PackSeen(row.pack_identity, row.pack_name, row.pack_labels)
    return Event(pack, row.name, payload, row.created_at, row.received_at), payload != row.payload


def given_event(given: Mapping[str, Any], document: FlowDefinition) -> Event:
    """The event of the input; where it names no pack, the one that the flow listens to."""
    now = timezone.now()
    name = _listened_pack(document, given["event"])
    pack = read_pack(given["pack"], "event.pack") or PackSeen(name, name, {})
    return Event(pack, given["event"], given["payload"], given["createdAt"] or now, now)


def _listened_pack(document: FlowDefinition, event_name: str) -> str:
    triggers = sorted(document.triggers, key=lambda step: step.event.name != event_name)
    return triggers[0].event.pack_name if triggers else ""


def read_pack(given: Mapping[str, Any] | None, path: str) -> PackSeen | None:
    """The pack of the input; None where it names none. Raises `Problem` 400."""
    if not given or not (given["id"] or given["name"]):
        return None
    if given["name"]:
        identity = given["id"] or pack_id(given["name"], given["labels"])
        return PackSeen(identity, given["name"], given["labels"])
    pack = Pack.objects.filter(identity=given["id"]).first()
    if pack is None:
        message = f"no pack {given['id'][:100]!r} is registered; say its name and its labels"
        raise bad_input({"path": f"{path}.id", "message": message})
    return PackSeen(pack.identity, pack.name, pack.labels)


def pretended(results: Mapping[str, Mapping[str, Any]], document: FlowDefinition) -> dict[str, Pretended]:
    """The pretended results of the input. Raises `Problem` 400."""
    known = {step.id for step in document.steps}
    unknown: list[InputError] = [
        {"path": f"results.{step_id}", "message": f"the flow has no step {step_id!r}"}
        for step_id in results
        if step_id not in known
    ]
    if unknown:
        raise bad_input(*unknown)
    return {
        step_id: Pretended(
            given["event"], given["payload"], read_pack(given["pack"], f"results.{step_id}.pack"), given["createdAt"]
        )
        for step_id, given in results.items()
    }
