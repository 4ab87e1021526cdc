"""Saving and deleting flows: a new version each time, and the listeners that lead events to it."""

from typing import Any

from django.db import transaction

from flows.document import FlowDefinition, parse_flow
from flows.models import MAX_NOTE, Flow, FlowVersion, Listener
from flyte_site.times import to_text


class ConflictError(Exception):
    """The flow is not on the version that the caller knows; `current` is its version, '' where there is no flow."""

    def __init__(self, current: str) -> None:
        super().__init__("the flow was changed meanwhile" if current else "there is no such flow any more")
        self.current = current


@transaction.atomic
def save(
    document: FlowDefinition,
    *,
    source: str = "",
    media_type: str = "",
    saved_by: str = "",
    note: str = "",
    expected: str | None = None,
) -> Flow:
    """Make this document the current version of the flow of its name, now and for every event that comes.

    `enabled` stays what it was where the document does not say it. `source` is the text as it was written. `note` says
    what the change is for; it is cut after MAX_NOTE characters. With `expected`, the id of the version that the flow
    must be on ('' for none), raises `ConflictError` where it is on another.
    """
    current = Flow.objects.select_for_update().filter(name=document.name).first()
    if expected is not None and expected != (current.version_id if current else ""):
        raise ConflictError(current.version_id if current else "")
    version = FlowVersion.objects.create(
        flow_name=document.name,
        document=document.document,
        source=source,
        media_type=media_type,
        saved_by=saved_by,
        note=note.replace("\x00", "")[:MAX_NOTE],
    )
    flow, created = run_on(document, version.id)
    if expected == "" and not created:
        raise ConflictError(flow.version_id)
    return flow


@transaction.atomic
def run_on(document: FlowDefinition, version_id: str) -> tuple[Flow, bool]:
    """Let the flow of the document's name run on a version that has this document; whether the flow is new."""
    values: dict[str, Any] = {"description": document.description, "labels": dict(document.labels)}
    values["version_id"] = version_id
    if document.enabled is not None:
        values["enabled"] = document.enabled
    flow, created = Flow.objects.update_or_create(name=document.name, defaults=values)
    _replace_listeners(flow, document)
    return flow, created


@transaction.atomic
def restore(version_id: str, *, saved_by: str = "", note: str = "", expected: str | None = None) -> Flow | None:
    """Save an older version anew, as the current one; None where there is no such version.

    `enabled` stays what it is. Raises `FlowError` where today's rules refuse the document, `ConflictError` as `save`.
    """
    version = FlowVersion.objects.filter(id=version_id).first()
    if version is None:
        return None
    return save(
        parse_flow(version.document),
        source=version.source,
        media_type=version.media_type,
        saved_by=saved_by,
        note=note or f"restored from {to_text(version.saved_at)}",
        expected=expected,
    )


def set_enabled(name: str, on: bool) -> bool:
    """Let the flow start executions, or not; its version stays. False where there is no such flow."""
    return Flow.objects.filter(name=name).update(enabled=on) > 0


def _replace_listeners(flow: Flow, document: FlowDefinition) -> None:
    flow.listeners.all().delete()
    events = dict.fromkeys((step.event.pack_name, step.event.name) for step in document.triggers)
    Listener.objects.bulk_create(
        Listener(flow=flow, pack_name=pack_name, event_name=event_name) for pack_name, event_name in events
    )


def delete(name: str) -> bool:
    """Delete a flow: it starts nothing any more, its versions and running executions stay. False if there is none."""
    deleted, _ = Flow.objects.filter(name=name).delete()
    return deleted > 0
