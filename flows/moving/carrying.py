"""Carries what the original kept into this database: what is here already and newer is left alone."""

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

from datastore import saving as datastore
from datastore.models import Item
from flows import saving
from flows.document import FlowValidationError, parse_flow
from flows.models import Execution, Flow, FlowVersion
from flows.moving.executions import Moved, moved
from flows.moving.reading import Document, Source, by_execution, text
from flows.moving.values import EPOCH, moment, moved_id, plain, texts
from flyte_site.changes import COMMAND_LINE, record
from flyte_site.times import from_text
from packs import queue
from packs.models import Action, Pack, State, pack_id
from packs.serializers import PackInput

NEW, SAME, KEPT, BAD = "new", "the same", "kept as it is here", "not carried over"
KINDS = ("packs", "datastore items", "flows", "versions of flows", "executions", "actions")
MAX_TOLD = 1000
# Executions that are written in one transaction: each costs its database a wait for the disk.
BATCH = 200
NOTE = "carried over from the original server"


@dataclass
class Report:
    """What was, or would be, carried over: counts by kind and outcome, and what somebody should look at."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waiting: int = 0

    def count(self, kind: str, outcome: str, number: int = 1) -> None:
        self.counts[kind][outcome] += number

    def error(self, told: str) -> None:
        if len(self.errors) < MAX_TOLD:
            self.errors.append(told)

    def warn(self, told: str) -> None:
        if len(self.warnings) < MAX_TOLD:
            self.warnings.append(told)


@dataclass
class Carrier:
    """One run. With `dry_run` nothing is written; `overwrite` takes the original's flows and items that differ."""

    source: Source
    dry_run: bool = False
    overwrite: bool = False
    report: Report = field(default_factory=Report)
    now: datetime = field(default_factory=timezone.now)
    version_of: dict[str, str] = field(default_factory=dict)
    steps: dict[str, list[Document]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def carry(self, progress: Callable[[int], object] = lambda count: None) -> Report:
        """Everything, in the order in which one needs the other. Raises `SourceError`."""
        for kind, collection, one_of in (
            ("packs", "pack", self.pack),
            ("datastore items", "datastore", self.item),
            ("versions of flows", "flowHistory", self.version),
            ("flows", "flow", self.flow),
        ):
            for document in self.source.documents(collection):
                self.report.count(kind, one_of(document))
        executions, done = by_execution(self.source), 0
        while batch := list(islice(executions, BATCH)):
            with nullcontext() if self.dry_run else transaction.atomic():
                for documents in batch:
                    self.execution(documents)
            done += len(batch)
            progress(done)
        return self.report

    def pack(self, document: Document) -> str:
        """Register a pack that is not here; it was last seen when it was seen there."""
        values = {key: plain(document.get(key)) for key in ("name", "commands", "events", "links")}
        values["labels"] = texts(document.get("labels"))
        values["links"] = [link for link in values["links"] or [] if not _is_servers(link)]
        values["commands"] = [
            {"name": one.get("name"), "events": one.get("events")} for one in values["commands"] or [] if one
        ]
        given = PackInput(data=values)
        if not given.is_valid():
            self.report.error(f"pack {text(document, '_id')!r}: {_faults(given.errors)}")
            return BAD
        valid: Mapping[str, Any] = given.validated_data
        identity = pack_id(valid["name"], valid["labels"])
        if Pack.objects.filter(identity=identity).exists():
            return SAME
        if not self.dry_run:
            with transaction.atomic():
                commands = [{**one, "events": one["events"] or []} for one in valid["commands"]]
                kept = {**valid, "commands": commands, "last_seen": moment(document, "lastSeen", self.now)}
                Pack.objects.create(identity=identity, **kept)
                record(COMMAND_LINE, "registered", "pack", identity, note=NOTE)
        return NEW

    def item(self, document: Document) -> str:
        """Put a datastore item that is not here."""
        key, value = text(document, "_id"), bytes(document.get("value") or b"")
        if not key or (fault := datastore.get_key_error(key)):
            self.report.error(f"datastore item {key!r}: its key {fault if key else 'is empty'}")
            return BAD
        given = datastore.ItemUpdate(value, text(document, "contentType")[:255], text(document, "description"))
        known = Item.objects.filter(key=key).first()
        if known is not None:
            if known.secret or bytes(known.value) == value:
                return SAME
            if not self.overwrite:
                self.report.warn(f"datastore item {key!r} has another value here, which is kept")
                return KEPT
        if not self.dry_run:
            datastore.put_item(COMMAND_LINE, key, given)
        return NEW if known is None else "overwritten"

    def version(self, document: Document) -> str:
        """Keep a version of a flow, be it good or not: executions are shown by it."""
        uuid, made = text(document, "uuid"), _made(document)
        if not uuid or not text(document, "name"):
            self.report.error(f"a version of flow {text(document, 'name')!r} has no uuid or no name")
            return BAD
        self.version_of[uuid] = moved_id(uuid, made)
        source = _source(document)
        self.steps[uuid] = [step for step in source.get("steps") or [] if isinstance(step, dict)]
        try:
            source = dict(parse_flow(source).document)
        except FlowValidationError:
            self.broken.add(uuid)
        if FlowVersion.objects.filter(id=self.version_of[uuid]).exists():
            return SAME
        if not self.dry_run:
            name = text(document, "name")[:255]
            FlowVersion.objects.create(id=self.version_of[uuid], flow_name=name, document=source, note=NOTE)
            FlowVersion.objects.filter(id=self.version_of[uuid]).update(saved_at=made)
        return NEW

    def flow(self, document: Document) -> str:
        """Let a flow run that is not here, on the version that it ran on there."""
        name, uuid = text(document, "name"), text(document, "uuid")
        try:
            read = parse_flow(_source(document))
        except FlowValidationError as error:
            for one in error.errors:
                self.report.error(f"flow {name!r}: {one.path}: {one.message}")
            return BAD
        for one in read.warnings:
            self.report.warn(f"flow {name!r}: {one.path}: {one.message}")
        if uuid not in self.version_of:
            self.report.count("versions of flows", self.version(document))
        if uuid not in self.version_of:
            return BAD
        known = Flow.objects.select_related("version").filter(name=name).first()
        if known is not None and known.version.document == dict(read.document):
            return SAME
        if known is not None and not self.overwrite:
            self.report.warn(f"flow {name!r} is another one here, which is kept")
            return KEPT
        if not self.dry_run:
            with transaction.atomic():
                saving.run_on(read, self.version_of[uuid])
                record(COMMAND_LINE, "saved", "flow", name, version=self.version_of[uuid], note=NOTE)
        return NEW if known is None else "overwritten"

    def execution(self, documents: list[Document]) -> None:
        """Keep an execution with its actions; one that waits there goes on here."""
        known = text(documents[0], "correlationId")
        try:
            found = moved(documents, self.version_of, self.steps)
        except ValueError as error:
            self.report.error(f"execution {known!r}: {error}")
            self.report.count("executions", BAD)
            self.report.count("actions", BAD, len(documents))
            return
        for told in found.left_out:
            self.report.error(f"execution {known!r}: {told}")
        self.report.count("actions", BAD, len(found.left_out))
        if found.waits:
            self.waits(found, text(documents[0], "flowUUID"))
        outcome = self.keep(found)
        self.report.count("executions", outcome)
        self.report.count("actions", outcome, len(found.actions))

    def waits(self, found: Moved, uuid: str) -> None:
        self.report.waiting += 1
        if uuid in self.broken:
            self.report.warn(
                f"execution {found.execution.id!r} of flow {found.execution.flow_name!r} ends with what waits now: the "
                "version that it is on breaks rules that are checked here"
            )
        for action in found.actions:
            if action.state == State.PENDING:
                action.lease_ends_at = self.now + timedelta(seconds=settings.FLYTE_ACTION_LEASE_SECONDS)

    @transaction.atomic
    def keep(self, found: Moved) -> str:
        """Write the execution where it is not here, or was carried over at an earlier time and has rested since."""
        known = Execution.objects.select_for_update().filter(id=found.execution.id).first()
        if known is not None:
            newest = max(known.changed_at, *_touched(known))
            if newest >= found.execution.changed_at:
                return SAME if newest == found.execution.changed_at else KEPT
        if not self.dry_run:
            queue.adopt(found.execution.id, found.actions)
            found.execution.save(force_insert=known is None, force_update=known is not None)
        return NEW if known is None else "brought up to date"


def _touched(execution: Execution) -> Iterator[datetime]:
    """When actions of an execution entered the states that they are in."""
    yield execution.started_at
    for states in Action.objects.filter(correlation_id=execution.id).values_list("states", flat=True):
        yield from_text(states[-1]["time"])


def _made(document: Document) -> datetime:
    own = document.get("_id")
    return own.generation_time if isinstance(own, ObjectId) else EPOCH


def _source(document: Document) -> dict[str, Any]:
    """The flow's document as it would be posted."""
    found = plain({key: document[key] for key in ("name", "description", "labels", "steps") if key in document})
    return {"steps": [], **found}


def _is_servers(link: Any) -> bool:
    rel = link.get("rel", "") if isinstance(link, dict) else ""
    return rel in ("self", "up", "") or rel.endswith(("/event", "/takeAction", "/actionResult"))


def _faults(errors: Any) -> str:
    return "; ".join(f"{name}: {' '.join(map(str, told))}" for name, told in errors.items())[:500]
