"""Import of the original's data into this database; newer data here is kept."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from bson import ObjectId
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from datastore import service as datastore
from datastore.models import Item
from flows.definition import FlowOutline, FlowValidationError, parse_flow, read_outline, store
from flows.importers.mongo.executions import ImportedExecution, build_imported_execution
from flows.importers.mongo.source import COLLECTIONS, MongoDocument, MongoSource, get_text, group_by_execution
from flows.importers.mongo.values import (
    EPOCH,
    UnsupportedValueError,
    convert_id,
    get_time,
    to_json_value,
    to_string_map,
)
from flows.models import Execution, Flow, FlowVersion
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, log_activity
from flyte_site.core.timestamps import parse_rfc3339
from packs.models import Action, ActionState, Pack, build_pack_id
from packs.queue import action_queue
from packs.serializers import PackInput

NEW, UNCHANGED, KEPT_EXISTING, FAILED = "new", "unchanged", "kept", "not imported"
KINDS = ("packs", "datastore items", "flows", "versions of flows", "executions", "actions")
MAX_MESSAGES = 1000
# Executions per transaction: each transaction waits for the disk.
EXECUTIONS_PER_BATCH = 200
MAX_CONTENT_TYPE_LENGTH = 255
# Older databases also have a collection `audit`.
REQUIRED_COLLECTIONS = set(COLLECTIONS) - {"audit"}
VERSION_NOTE = "imported from the original server"


@dataclass
class ImportReport:
    """The results of an import or its dry run: counts by kind and outcome, warnings and errors."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unlisted_count: int = 0
    running_count: int = 0

    def add_count(self, kind: str, outcome: str, number: int = 1) -> None:
        self.counts[kind][outcome] += number

    def add_error(self, message: str) -> None:
        self._add_message(self.errors, message)

    def add_warning(self, message: str) -> None:
        self._add_message(self.warnings, message)

    def _add_message(self, messages: list[str], message: str) -> None:
        if len(messages) < MAX_MESSAGES:
            messages.append(message)
        else:
            self.unlisted_count += 1


@dataclass
class MongoImporter:
    """One import. With `dry_run` nothing is written; `overwrite` replaces flows and items that differ."""

    source: MongoSource
    dry_run: bool = False
    overwrite: bool = False
    report: ImportReport = field(default_factory=ImportReport)
    now: datetime = field(default_factory=timezone.now)
    version_ids: dict[str, str] = field(default_factory=dict)
    outlines_by_uuid: dict[str, FlowOutline] = field(default_factory=dict)
    invalid_uuids: set[str] = field(default_factory=set)

    def run(self, progress: Callable[[int], object] = lambda count: None) -> ImportReport:
        """Import everything, in the order of dependencies. Raises `MongoSourceError`."""
        for name in sorted(REQUIRED_COLLECTIONS - self.source.list_collections()):
            self.report.add_warning(f"collection {name!r} not found; nothing is imported from it")
        for kind, collection, import_document in (
            ("packs", "pack", self.import_pack),
            ("datastore items", "datastore", self.import_item),
            ("versions of flows", "flowHistory", self.import_version),
            ("flows", "flow", self.import_flow),
        ):
            for document in self.source.read_documents(collection):
                self.report.add_count(kind, self.import_or_report(kind, document, import_document))
        action_groups, done_count = group_by_execution(self.source, self.skip_action), 0
        while batch := list(islice(action_groups, EXECUTIONS_PER_BATCH)):
            with nullcontext() if self.dry_run else transaction.atomic():
                for documents in batch:
                    self.import_execution(documents)
            done_count += len(batch)
            progress(done_count)
        return self.report

    def import_or_report(
        self, kind: str, document: MongoDocument, import_document: Callable[[MongoDocument], str]
    ) -> str:
        """Import a document; report one with a value that cannot be imported."""
        try:
            return import_document(document)
        except UnsupportedValueError as error:
            self.report.add_error(f"{kind}: {get_text(document, 'name') or get_text(document, '_id')!r}: {error}")
            return FAILED

    def skip_action(self, reason: str) -> None:
        self.report.add_error(reason)
        self.report.add_count("actions", FAILED)

    def import_pack(self, document: MongoDocument) -> str:
        """Register a pack that is missing here, with the time when the original last saw it."""
        values = {key: to_json_value(document.get(key)) for key in ("name", "commands", "events", "links")}
        values["labels"] = to_string_map(document.get("labels"))
        values["links"] = [link for link in values["links"] or [] if not _is_server_link(link)]
        values["commands"] = [
            {"name": command.get("name"), "events": command.get("events")}
            for command in values["commands"] or []
            if command
        ]
        serializer = PackInput(data=values)
        if not serializer.is_valid():
            self.report.add_error(f"pack {get_text(document, '_id')!r}: {_format_errors(serializer.errors)}")
            return FAILED
        valid: Mapping[str, Any] = serializer.validated_data
        identity = build_pack_id(valid["name"], valid["labels"])
        if Pack.objects.filter(identity=identity).exists():
            return UNCHANGED
        if not self.dry_run:
            with transaction.atomic():
                commands = [{**command, "events": command["events"] or []} for command in valid["commands"]]
                fields = {**valid, "commands": commands, "last_seen": get_time(document, "lastSeen", self.now)}
                Pack.objects.create(identity=identity, **fields)
                log_activity(COMMAND_LINE_ACTOR, "registered", "pack", identity, note=VERSION_NOTE)
        return NEW

    def import_item(self, document: MongoDocument) -> str:
        """Import a datastore item that is missing here."""
        key, value = get_text(document, "_id"), bytes(document.get("value") or b"")
        if not key or (problem := datastore.get_key_error(key)):
            self.report.add_error(f"datastore item {key!r}: its key {problem if key else 'is empty'}")
            return FAILED
        content_type = get_text(document, "contentType")
        if len(content_type) > MAX_CONTENT_TYPE_LENGTH:
            self.report.add_error(f"datastore item {key!r}: its content type has {len(content_type)} characters")
            return FAILED
        new_value = datastore.ItemUpdate(value, content_type, get_text(document, "description"))
        existing = Item.objects.filter(key=key).first()
        if existing is not None:
            if existing.secret or bytes(existing.value) == value:
                return UNCHANGED
            if not self.overwrite:
                self.report.add_warning(f"datastore item {key!r} has a different value here, which is kept")
                return KEPT_EXISTING
        if not self.dry_run:
            datastore.put_item(COMMAND_LINE_ACTOR, key, new_value)
        return NEW if existing is None else "overwritten"

    def import_version(self, document: MongoDocument) -> str:
        """Import a version of a flow, valid or not: executions refer to it."""
        uuid, created_at = get_text(document, "uuid"), _get_creation_time(document)
        if not uuid or not get_text(document, "name"):
            self.report.add_error(f"a version of flow {get_text(document, 'name')!r} has no uuid or no name")
            return FAILED
        self.version_ids[uuid] = convert_id(uuid, created_at)
        source = _build_flow_source(document)
        self.outlines_by_uuid[uuid] = read_outline(source)
        try:
            source = dict(parse_flow(source).document)
        except FlowValidationError:
            self.invalid_uuids.add(uuid)
        if FlowVersion.objects.filter(id=self.version_ids[uuid]).exists():
            return UNCHANGED
        if not self.dry_run:
            name = get_text(document, "name")[:255]
            FlowVersion.objects.create(id=self.version_ids[uuid], flow_name=name, document=source, note=VERSION_NOTE)
            FlowVersion.objects.filter(id=self.version_ids[uuid]).update(saved_at=created_at)
        return NEW

    def import_flow(self, document: MongoDocument) -> str:
        """Import a flow that is missing here, on its current version."""
        name, uuid = get_text(document, "name"), get_text(document, "uuid")
        try:
            definition = parse_flow(_build_flow_source(document))
        except FlowValidationError as error:
            for issue in error.errors:
                self.report.add_error(f"flow {name!r}: {issue.path}: {issue.message}")
            return FAILED
        for issue in definition.warnings:
            self.report.add_warning(f"flow {name!r}: {issue.path}: {issue.message}")
        if uuid not in self.version_ids:
            self.report.add_count("versions of flows", self.import_version(document))
        if uuid not in self.version_ids:
            return FAILED
        existing = Flow.objects.select_related("version").filter(name=name).first()
        if existing is not None and existing.version.document == dict(definition.document):
            return UNCHANGED
        if existing is not None and not self.overwrite:
            self.report.add_warning(f"flow {name!r} is different here; this one is kept")
            return KEPT_EXISTING
        if not self.dry_run:
            with transaction.atomic():
                store.activate_version(definition, self.version_ids[uuid])
                log_activity(
                    COMMAND_LINE_ACTOR, "saved", "flow", name, version=self.version_ids[uuid], note=VERSION_NOTE
                )
        return NEW if existing is None else "overwritten"

    def import_execution(self, documents: list[MongoDocument]) -> None:
        """Import an execution with its actions; a running one continues here."""
        execution_id = get_text(documents[0], "correlationId")
        try:
            imported = build_imported_execution(documents, self.version_ids, self.outlines_by_uuid)
        except ValueError as error:
            self.report.add_error(f"execution {execution_id!r}: {error}")
            self.report.add_count("executions", FAILED)
            self.report.add_count("actions", FAILED, len(documents))
            return
        for message in imported.skipped_messages:
            self.report.add_error(f"execution {execution_id!r}: {message}")
        self.report.add_count("actions", FAILED, len(imported.skipped_messages))
        if imported.is_running:
            self.prepare_running(imported, get_text(documents[0], "flowUUID"))
        outcome = self.write_execution(imported)
        self.report.add_count("executions", outcome)
        self.report.add_count("actions", outcome, len(imported.actions))

    def prepare_running(self, imported: ImportedExecution, uuid: str) -> None:
        self.report.running_count += 1
        if uuid in self.invalid_uuids:
            self.report.add_warning(
                f"execution {imported.execution.id!r} of flow {imported.execution.flow_name!r} cannot run "
                "dependent steps: its flow version violates rules of this server"
            )
        for action in imported.actions:
            if action.state == ActionState.PENDING:
                action.lease_ends_at = self.now + timedelta(seconds=settings.FLYTE_ACTION_LEASE_SECONDS)

    @transaction.atomic
    def write_execution(self, imported: ImportedExecution) -> str:
        """Write the execution if it is missing here, or was imported earlier and has not changed since."""
        existing = Execution.objects.select_for_update().filter(id=imported.execution.id).first()
        if existing is not None:
            last_change = max(existing.changed_at, *_iter_change_times(existing))
            if last_change >= imported.execution.changed_at:
                return UNCHANGED if last_change == imported.execution.changed_at else KEPT_EXISTING
        if not self.dry_run:
            action_queue.import_actions(imported.execution.id, imported.actions)
            imported.execution.save(force_insert=existing is None, force_update=existing is not None)
        return NEW if existing is None else "brought up to date"


def _iter_change_times(execution: Execution) -> Iterator[datetime]:
    """Return the times of the last state changes of an execution's actions."""
    yield execution.started_at
    for state_log in Action.objects.filter(correlation_id=execution.id).values_list("state_log", flat=True):
        yield parse_rfc3339(state_log[-1]["time"])


def _get_creation_time(document: MongoDocument) -> datetime:
    object_id = document.get("_id")
    return object_id.generation_time if isinstance(object_id, ObjectId) else EPOCH


def _build_flow_source(document: MongoDocument) -> dict[str, Any]:
    """Return the flow's document as it would be posted."""
    source = to_json_value(
        {key: document[key] for key in ("name", "description", "labels", "steps") if key in document}
    )
    return {"steps": [], **source}


def _is_server_link(link: Any) -> bool:
    rel = link.get("rel", "") if isinstance(link, dict) else ""
    return rel in ("self", "up", "") or rel.endswith(("/event", "/takeAction", "/actionResult"))


def _format_errors(errors: Any) -> str:
    return "; ".join(f"{name}: {' '.join(map(str, messages))}" for name, messages in errors.items())[:500]
