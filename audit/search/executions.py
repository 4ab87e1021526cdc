"""Executions and events for people: by many filters, a page at a time, each execution told in a line."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, QuerySet

from audit.lookups import filter_by_labels
from audit.search.filter_ranges import event_range_set, labels_range_set
from audit.search.keyset_page import (
    LOOKUP_BATCH_SIZE,
    MAX_SCANNED,
    PAGE_SIZE,
    IndexedQuery,
    KeysetCursor,
    KeysetPage,
    PostFilter,
    fetch_page,
    hide_from_index,
    with_related,
)
from audit.summary import SUMMARY_FIELDS, summarize_execution
from flows.engine.diagnostics import MAX_SCANNED_EVENTS, find_flow_event_ids
from flows.models import Event, Execution, FlowVersion
from flyte_site.core.redaction.keys import visible_text_contains
from packs.models import Action

# A context may be long, and is read whole.
MAX_SCANNED_TEXTS = 2_000
TEXT_SEARCH_WINDOW = timedelta(hours=24)
ACTION_INDEXES = (("step_id",), ("name",), ("pack_name",))
EXECUTION_INDEXES = (("flow_name",), ("state",))
EVENT_INDEXES = (("pack_name", "name"),)


@dataclass(frozen=True)
class ExecutionQuery:
    """What executions are asked for; empty is any.

    Step, command, pack, `labels` that it must have, and `text` in the context must hold for one action. The text is
    looked for in what is shown, not in what is masked; big and small letters are alike. Times are when the newest
    action was queued; with a step, a command, a pack or labels and no flow, the newest action that these hold for.
    """

    flow: str = ""
    state: str = ""
    step: str = ""
    command: str = ""
    pack: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def action_fields(self) -> dict[str, str]:
        fields = {"step_id": self.step, "name": self.command, "pack_name": self.pack}
        return {name: value for name, value in fields.items() if value}

    @property
    def execution_fields(self) -> dict[str, str]:
        fields = {"flow_name": self.flow, "state": self.state}
        return {name: value for name, value in fields.items() if value}

    @property
    def has_action_filters(self) -> bool:
        return bool(self.action_fields or self.labels)


@dataclass(frozen=True)
class EventQuery:
    """What events are asked for; empty is any. Times are those at which they came."""

    pack: str = ""
    name: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class ExecutionRow:
    """An execution and its story in a line; `actions` have the fields of the story alone."""

    execution: Execution
    actions: list[Action]
    summary: str

    @property
    def duration(self) -> timedelta | None:
        """How long it ran; None while it does."""
        return self.execution.ended_at - self.execution.started_at if self.execution.ended_at else None


@dataclass(frozen=True)
class ExecutionPage:
    """A page of executions. `since` is the time that was looked from, where there was one."""

    rows: list[ExecutionRow]
    keyset_page: KeysetPage
    since: datetime | None


@dataclass(frozen=True)
class EventPage:
    """A page of events."""

    rows: list[Event]
    keyset_page: KeysetPage


@dataclass(frozen=True)
class ExecutionMatches:
    """Executions with their versions, and the places of the pages beside them."""

    executions: list[Execution]
    keyset_page: KeysetPage


def find_executions(query: ExecutionQuery, cursor: KeysetCursor, size: int, skip: int = 0) -> ExecutionMatches:
    """Executions, those first whose newest action is the newest; with filters about actions and no flow, those whose
    found action is. The first `skip` of them are passed over, at a cost that grows with their number.

    Mostly four queries; where several filters leave few of many rows, some sixty at most, whatever there is.
    """
    by_actions = query.has_action_filters and not query.flow
    indexed_query = _query_actions(query) if by_actions else _query_executions(query)
    keyset_page = fetch_page(indexed_query, cursor, skip + size)
    page_keys = keyset_page.primary_keys[skip:]
    matches = _fetch_executions_of_actions(page_keys) if by_actions else _fetch_in_order(Execution.objects, page_keys)
    versions = FlowVersion.objects.defer("source").in_bulk({match.version_id for match in matches})
    for execution in matches:
        execution.version = versions[execution.version_id]
    return ExecutionMatches(matches, keyset_page)


def list_execution_rows(
    query: ExecutionQuery, cursor: KeysetCursor, now: datetime, size: int = PAGE_SIZE
) -> ExecutionPage:
    """A page of executions as `find` finds them. A text without a time is looked for in the last day.

    One query more than `find`.
    """
    if query.text and query.since is None:
        query = replace(query, since=(query.until or now) - TEXT_SEARCH_WINDOW)
    matches = find_executions(query, cursor, size)
    return ExecutionPage(_build_rows(matches.executions, now), matches.keyset_page, query.since)


def find_events(query: EventQuery, cursor: KeysetCursor, size: int = PAGE_SIZE, skip: int = 0) -> EventPage:
    """A page of the kept events, newest first, without the first `skip`. Mostly three queries."""
    fields = {"pack_name": query.pack, "name": query.name}
    equals = {name: value for name, value in fields.items() if value}
    range_set = event_range_set(query.pack, query.name)
    indexed_query = IndexedQuery(
        Event.objects.all(), "id", equals, EVENT_INDEXES, None, query.since, query.until, range_set=range_set
    )
    keyset_page = fetch_page(indexed_query, cursor, skip + size)
    return EventPage(_fetch_in_order(Event.objects, keyset_page.primary_keys[skip:]), keyset_page)


def find_events_with_outcome(flow: str, query: EventQuery, size: int, skip: int = 0) -> list[Event]:
    """The last events that a flow has outcomes with, newest first, among those that `events_of_flow` looks at."""
    ids = find_flow_event_ids(flow, min(skip + size, MAX_SCANNED_EVENTS), pack_name=query.pack, event_name=query.name)
    return list(Event.objects.filter(id__in=ids[skip:]).order_by("-id"))


def _query_executions(query: ExecutionQuery) -> IndexedQuery:
    def filter_rows(queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return with_related(queryset, _find_matching_actions(query, OuterRef("id")))

    return IndexedQuery(
        Execution.objects.all(),
        "latest_action_id",
        query.execution_fields,
        EXECUTION_INDEXES,
        filter_rows if query.has_action_filters else None,
        query.since,
        query.until,
        _max_scanned(query),
        _build_text_filter(query, "id"),
    )


def _query_actions(query: ExecutionQuery) -> IndexedQuery:
    """Actions stand for their executions; where several match, the newest alone does."""

    def filter_rows(queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        newer = _find_matching_actions(query, OuterRef("correlation_id")).filter(id__gt=OuterRef("id"))
        queryset = with_related(filter_by_labels(queryset, query.labels), newer, exists=False)
        if not query.state:
            return queryset
        return with_related(queryset, Execution.objects.filter(id=OuterRef("correlation_id"), state=query.state))

    return IndexedQuery(
        Action.objects.all(),
        "id",
        query.action_fields,
        ACTION_INDEXES,
        None if _is_step_only(query) else filter_rows,
        query.since,
        query.until,
        _max_scanned(query),
        _build_text_filter(query, "correlation_id"),
        labels_range_set(query.labels),
    )


def _is_step_only(query: ExecutionQuery) -> bool:
    """Whether what is asked for holds for one action of an execution at most: no step has two."""
    return bool(query.step) and not (query.command or query.pack or query.labels or query.state)


def _max_scanned(query: ExecutionQuery) -> int:
    return MAX_SCANNED_TEXTS if query.text else MAX_SCANNED


def _find_matching_actions(query: ExecutionQuery, correlation_id: OuterRef) -> "QuerySet[Any]":
    """Actions of one execution that match, found by the execution: it has few, whatever other index there is."""
    return filter_by_labels(
        hide_from_index(Action.objects.filter(correlation_id=correlation_id), query.action_fields), query.labels
    )


def _build_text_filter(query: ExecutionQuery, field: str) -> PostFilter | None:
    """The text is looked for in what is shown of a context. In the column it would be found in secrets, too, and who
    may not see them could spell them out letter by letter."""
    return PostFilter(field, lambda ids: _find_executions_with_text(ids, query)) if query.text else None


def _find_executions_with_text(correlation_ids: Sequence[str], query: ExecutionQuery) -> Set[str]:
    """Those of the executions in which an action that matches has the text. One query for so many, so that the database
    looks each up by its index."""
    matching: set[str] = set()
    for start in range(0, len(correlation_ids), LOOKUP_BATCH_SIZE):
        batch = correlation_ids[start : start + LOOKUP_BATCH_SIZE]
        actions = hide_from_index(Action.objects.filter(correlation_id__in=batch), query.action_fields)
        contexts = filter_by_labels(actions, query.labels).order_by().values_list("correlation_id", "context")
        matching |= {
            execution_id
            for execution_id, context in contexts.iterator(chunk_size=100)
            if visible_text_contains(context, query.text)
        }
    return matching


def _fetch_executions_of_actions(action_ids: list[str]) -> list[Execution]:
    execution_ids = dict(Action.objects.filter(id__in=action_ids).values_list("id", "correlation_id"))
    return _fetch_in_order(
        Execution.objects, [execution_ids[action_id] for action_id in action_ids if action_id in execution_ids]
    )


def _fetch_in_order(manager: Any, keys: Sequence[str]) -> list[Any]:
    """By their primary keys: of any other index PostgreSQL can't know, without statistics, that it finds one row."""
    by_key = manager.in_bulk(list(keys))
    return [by_key[key] for key in keys if key in by_key]


def _build_rows(executions_read: list[Execution], now: datetime) -> list[ExecutionRow]:
    """With their actions, by one query."""
    actions: dict[str, list[Action]] = {execution.id: [] for execution in executions_read}
    for action in Action.objects.filter(correlation_id__in=list(actions)).only(*SUMMARY_FIELDS).order_by("id"):
        actions[action.correlation_id].append(action)
    return [
        ExecutionRow(row, actions[row.id], summarize_execution(row, actions[row.id], now)) for row in executions_read
    ]
