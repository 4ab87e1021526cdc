"""Saving and deleting flows: a new version each time, and the subscriptions that route events to it."""

from typing import Any

from django.db import transaction

from flows.definition import FlowDefinition, parse_flow
from flows.models import MAX_NOTE_LENGTH, EventSubscription, Flow, FlowVersion
from flyte_site.core.timestamps import format_rfc3339
from flyte_site.db.conflicts import retry_conflicts


class VersionConflictError(Exception):
    """A conflict: the flow is not on the expected version; `current_version_id` is its version.

    `current_version_id` is '' if the flow does not exist; `was_deleted` is then true if it has existed.
    """

    def __init__(self, current_version_id: str, *, was_deleted: bool = False) -> None:
        missing = "the flow was deleted" if was_deleted else "the flow does not exist"
        super().__init__("the flow was changed by someone else" if current_version_id else missing)
        self.was_deleted = was_deleted
        self.current_version_id = current_version_id


@retry_conflicts
@transaction.atomic
def save_flow(
    definition: FlowDefinition,
    *,
    source: str = "",
    media_type: str = "",
    saved_by: str = "",
    note: str = "",
    expected_version_id: str | None = None,
) -> Flow:
    """Make this document the current version of the flow of its name.

    `enabled` is kept unless the document sets it. `source` is the text as written. `note` describes
    the change; it is cut to MAX_NOTE_LENGTH characters. With `expected_version_id` ('' for a new flow), raises
    `VersionConflictError` if the flow is on another version.
    """
    current = Flow.objects.select_for_update().filter(name=definition.name).first()
    if expected_version_id is not None and expected_version_id != (current.version_id if current else ""):
        raise _build_conflict(definition.name, current)
    version = FlowVersion.objects.create(
        flow_name=definition.name,
        document=definition.document,
        source=source,
        media_type=media_type,
        saved_by=saved_by,
        note=note.replace("\x00", "")[:MAX_NOTE_LENGTH],
    )
    flow, created = activate_version(definition, version.id)
    if expected_version_id == "" and not created:
        raise VersionConflictError(flow.version_id)
    return flow


def _build_conflict(name: str, current: Flow | None) -> VersionConflictError:
    if current:
        return VersionConflictError(current.version_id)
    return VersionConflictError("", was_deleted=FlowVersion.objects.filter(flow_name=name).exists())


@transaction.atomic
def activate_version(definition: FlowDefinition, version_id: str) -> tuple[Flow, bool]:
    """Make a version with this document the current one of its flow; return True if the flow is new."""
    values: dict[str, Any] = {"description": definition.description, "labels": dict(definition.labels)}
    values["version_id"] = version_id
    if definition.enabled is not None:
        values["enabled"] = definition.enabled
    flow, created = Flow.objects.update_or_create(name=definition.name, defaults=values)
    _replace_subscriptions(flow, definition)
    return flow, created


@retry_conflicts
@transaction.atomic
def restore_version(
    version_id: str, *, saved_by: str = "", note: str = "", expected_version_id: str | None = None
) -> Flow | None:
    """Save an older version as a new, current one; return None if the version does not exist.

    `enabled` is kept. Raises `FlowValidationError` if the document violates current rules, `VersionConflictError` as in
    `save_flow`.
    """
    version = FlowVersion.objects.filter(id=version_id).first()
    if version is None:
        return None
    return save_flow(
        parse_flow(version.document),
        source=version.source,
        media_type=version.media_type,
        saved_by=saved_by,
        note=note or f"restored from {format_rfc3339(version.saved_at)}",
        expected_version_id=expected_version_id,
    )


def set_enabled(name: str, enabled: bool) -> bool:
    """Enable or disable the flow without a new version. Return False if the flow does not exist."""
    return Flow.objects.filter(name=name).update(enabled=enabled) > 0


def _replace_subscriptions(flow: Flow, definition: FlowDefinition) -> None:
    flow.subscriptions.all().delete()
    events = dict.fromkeys((step.event.pack_name, step.event.name) for step in definition.triggers)
    EventSubscription.objects.bulk_create(
        EventSubscription(flow=flow, pack_name=pack_name, event_name=event_name) for pack_name, event_name in events
    )


@transaction.atomic
def delete_flow(name: str) -> bool:
    """Delete a flow; its versions and running executions are kept. Return False if it does not exist.

    Lock the flow before its subscriptions are deleted, as saving does: otherwise the two could wait for each other.
    """
    flow = Flow.objects.select_for_update().filter(name=name).first()
    if flow is None:
        return False
    flow.delete()
    return True
