"""Search for executions and events by several filters, a page at a time, with a one-line summary of each execution."""

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
from flyte_site.core.secrets.redaction import visible_text_contains
from flyte_site.db.large_values import load_value
from flyte_site.db.postgresql.plans import index_lookups, index_order
from packs.models import Action

# A context may be long, and is read completely.
MAX_SCANNED_TEXTS = 2_000
TEXT_SEARCH_WINDOW = timedelta(hours=24)
ACTION_INDEXES = (("step_id",), ("name",), ("pack_name",))
EXECUTION_INDEXES = (("flow_name",), ("state",))
EVENT_INDEXES = (("pack_name", "name"),)


@dataclass(frozen=True)
class ExecutionQuery:
    """Filters for executions; an empty field matches all.

    Step, command, pack, `labels` and the `text` in the context must match the same action. The text search is
    case-insensitive and covers only what is visible, not redacted values. `since` and `until` apply to the time when
    the newest action was queued; with a step, a command, a pack or labels and no flow, to the newest action that
    matches them.
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
    """Filters for events; an empty field matches all. `since` and `until` apply to the time of receipt."""

    pack: str = ""
    name: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class ExecutionRow:
    """An execution with its one-line summary; `actions` have only the fields of the summary."""

    execution: Execution
    actions: list[Action]
    summary: str

    @property
    def duration(self) -> timedelta | None:
        """Return the run time; None while the execution runs."""
        return self.execution.ended_at - self.execution.started_at if self.execution.ended_at else None


@dataclass(frozen=True)
class ExecutionPage:
    """A page of executions. `since`: the start of the searched period, if there was one."""

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
    """Executions with their flow versions and the keys of their rows, and the cursors of the adjacent pages."""

    executions: list[Execution]
    keys: list[str]
    keyset_page: KeysetPage

    def cut(self, count: int) -> KeysetPage:
        """Return the page with only the first `count` executions, at least one; the next page has the others."""
        if count >= len(self.executions):
            return self.keyset_page
        return replace(self.keyset_page, older=KeysetCursor(older_than=self.keys[count - 1]))


@index_order()
def find_executions(query: ExecutionQuery, cursor: KeysetCursor, size: int, skip: int = 0) -> ExecutionMatches:
    """Find executions, ordered by their newest action, newest first; with action filters and no flow, by their newest
    matching action. Skip the first `skip`, at a cost that grows with their number.

    Usually four queries; at most about sixty if several filters match few of many rows.
    """
    return _find_executions(query, cursor, size, skip)


def _find_executions(query: ExecutionQuery, cursor: KeysetCursor, size: int, skip: int = 0) -> ExecutionMatches:
    by_actions = query.has_action_filters and not query.flow
    indexed_query = _query_actions(query) if by_actions else _query_executions(query)
    keyset_page = fetch_page(indexed_query, cursor, skip + size)
    keys = dict(zip(keyset_page.primary_keys[skip:], keyset_page.keys[skip:], strict=True))
    execution_ids = _find_executions_of_actions(list(keys)) if by_actions else {row_id: row_id for row_id in keys}
    by_id = Execution.objects.order_by().in_bulk(list(execution_ids.values()))
    found_keys = [row_id for row_id in keys if execution_ids.get(row_id) in by_id]
    matches = [by_id[execution_ids[row_id]] for row_id in found_keys]
    versions = FlowVersion.objects.defer("source").order_by().in_bulk({match.version_id for match in matches})
    for execution in matches:
        execution.version = versions[execution.version_id]
    return ExecutionMatches(matches, [keys[row_id] for row_id in found_keys], keyset_page)


@index_order()
def list_execution_rows(
    query: ExecutionQuery, cursor: KeysetCursor, now: datetime, size: int = PAGE_SIZE
) -> ExecutionPage:
    """Return a page of executions with summaries. A text without a start time is searched for in the last day.

    One query more than `find_executions`.
    """
    if query.text and query.since is None:
        query = replace(query, since=(query.until or now) - TEXT_SEARCH_WINDOW)
    matches = _find_executions(query, cursor, size)
    return ExecutionPage(_build_rows(matches.executions, now), matches.keyset_page, query.since)


@index_order()
def find_events(query: EventQuery, cursor: KeysetCursor, size: int = PAGE_SIZE, skip: int = 0) -> EventPage:
    """Return a page of the stored events, newest first, without the first `skip`. Usually three queries."""
    keyset_page = _find_event_ids(query, cursor, skip + size)
    return EventPage(_fetch_in_order(Event.objects, keyset_page.primary_keys[skip:]), keyset_page)


@index_order()
def find_event_ids(query: EventQuery, cursor: KeysetCursor, size: int) -> KeysetPage:
    """Find the ids of the stored events, newest first; they are the keys of the page. Usually two queries."""
    return _find_event_ids(query, cursor, size)


def _find_event_ids(query: EventQuery, cursor: KeysetCursor, size: int) -> KeysetPage:
    fields = {"pack_name": query.pack, "name": query.name}
    equals = {name: value for name, value in fields.items() if value}
    range_set = event_range_set(query.pack, query.name)
    indexed_query = IndexedQuery(
        Event.objects.all(), "id", equals, EVENT_INDEXES, None, query.since, query.until, range_set=range_set
    )
    return fetch_page(indexed_query, cursor, size)


@index_lookups()
def find_ids_of_events_with_outcome(flow: str, query: EventQuery, size: int, skip: int = 0) -> list[str]:
    """Find the ids of the latest events with an outcome in this flow, newest first, among those that
    `find_flow_event_ids` scans.
    """
    ids = find_flow_event_ids(flow, min(skip + size, MAX_SCANNED_EVENTS), pack_name=query.pack, event_name=query.name)
    return ids[skip:]


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
    """Query actions in place of their executions; if several of one execution match, only the newest counts."""

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
    """Return True if at most one action of an execution can match: no step has two actions."""
    return bool(query.step) and not (query.command or query.pack or query.labels or query.state)


def _max_scanned(query: ExecutionQuery) -> int:
    return MAX_SCANNED_TEXTS if query.text else MAX_SCANNED


def _find_matching_actions(query: ExecutionQuery, correlation_id: OuterRef) -> "QuerySet[Any]":
    """Find the matching actions of one execution, always by the execution: it has few, whatever other index exists."""
    return filter_by_labels(
        hide_from_index(Action.objects.filter(correlation_id=correlation_id), query.action_fields), query.labels
    )


def _build_text_filter(query: ExecutionQuery, field: str) -> PostFilter | None:
    """Search for the text in the visible part of a context. A search in the column would also find secrets, and people
    without access to them could guess them letter by letter.
    """
    return PostFilter(field, lambda ids: _find_executions_with_text(ids, query)) if query.text else None


def _find_executions_with_text(correlation_ids: Sequence[str], query: ExecutionQuery) -> Set[str]:
    """Find the executions in which a matching action has the text. One query per batch, so that the database looks up
    each by its index.
    """
    matching: set[str] = set()
    for start in range(0, len(correlation_ids), LOOKUP_BATCH_SIZE):
        batch = correlation_ids[start : start + LOOKUP_BATCH_SIZE]
        actions = hide_from_index(Action.objects.filter(correlation_id__in=batch), query.action_fields)
        contexts = filter_by_labels(actions, query.labels).order_by().values_list("correlation_id", "context")
        matching |= {
            execution_id
            for execution_id, context in contexts.iterator(chunk_size=100)
            if visible_text_contains(load_value(context), query.text)
        }
    return matching


def _find_executions_of_actions(action_ids: list[str]) -> dict[str, str]:
    """Find the ids of the executions by the ids of their actions."""
    return dict(Action.objects.filter(id__in=action_ids).values_list("id", "correlation_id"))


def _fetch_in_order(manager: Any, keys: Sequence[str]) -> list[Any]:
    """Fetch rows by primary key: without statistics PostgreSQL can't know of any other index that it finds one row."""
    by_key = manager.order_by().in_bulk(list(keys))
    return [by_key[key] for key in keys if key in by_key]


def _build_rows(executions_read: list[Execution], now: datetime) -> list[ExecutionRow]:
    """Build the rows with their actions, by one query; sorted here, since PostgreSQL must not sort in `index_order`."""
    actions: dict[str, list[Action]] = {execution.id: [] for execution in executions_read}
    queryset = Action.objects.filter(correlation_id__in=list(actions)).only(*SUMMARY_FIELDS).order_by()
    for action in sorted(queryset, key=lambda action: action.id):
        actions[action.correlation_id].append(action)
    return [
        ExecutionRow(row, actions[row.id], summarize_execution(row, actions[row.id], now)) for row in executions_read
    ]
