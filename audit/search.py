"""Executions and events for people: by many filters, a page at a time, each execution told in a line."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, QuerySet

from audit.paging import LOOK_AT, LOOK_UP, PAGE, Check, Keys, Look, Place, aside, having, page
from audit.queries import with_labels
from audit.sets import of_events, of_labels
from audit.story import STORY_FIELDS, story
from flows.models import Event, Execution, FlowVersion
from flows.reasons import MOST_EVENTS, events_of_flow
from flyte_site.masking import shows
from packs.models import Action

# A context may be long, and is read whole.
LOOK_AT_TEXTS = 2_000
TEXT_LOOKS_BACK = timedelta(hours=24)
ACTION_INDEXES = (("step_id",), ("name",), ("pack_name",))
EXECUTION_INDEXES = (("flow_name",), ("state",))
EVENT_INDEXES = (("pack_name", "name"),)


@dataclass(frozen=True)
class Wanted:
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
    def of_action(self) -> dict[str, str]:
        given = {"step_id": self.step, "name": self.command, "pack_name": self.pack}
        return {name: value for name, value in given.items() if value}

    @property
    def of_execution(self) -> dict[str, str]:
        given = {"flow_name": self.flow, "state": self.state}
        return {name: value for name, value in given.items() if value}

    @property
    def about_actions(self) -> bool:
        return bool(self.of_action or self.labels)


@dataclass(frozen=True)
class WantedEvents:
    """What events are asked for; empty is any. Times are those at which they came."""

    pack: str = ""
    name: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Told:
    """An execution and its story in a line; `actions` have the fields of the story alone."""

    execution: Execution
    actions: list[Action]
    story: str

    @property
    def took(self) -> timedelta | None:
        """How long it ran; None while it does."""
        return self.execution.ended_at - self.execution.started_at if self.execution.ended_at else None


@dataclass(frozen=True)
class Executions:
    """A page of executions. `since` is the time that was looked from, where there was one."""

    rows: list[Told]
    place: Keys
    since: datetime | None


@dataclass(frozen=True)
class Events:
    """A page of events."""

    rows: list[Event]
    place: Keys


@dataclass(frozen=True)
class Found:
    """Executions with their versions, and the places of the pages beside them."""

    executions: list[Execution]
    place: Keys


def find(wanted: Wanted, place: Place, size: int, skip: int = 0) -> Found:
    """Executions, those first whose newest action is the newest; with filters about actions and no flow, those whose
    found action is. The first `skip` of them are passed over, at a cost that grows with their number.

    Mostly four queries; where several filters leave few of many rows, some sixty at most, whatever there is.
    """
    by_actions = wanted.about_actions and not wanted.flow
    look = _look_at_actions(wanted) if by_actions else _look_at_executions(wanted)
    keys = page(look, place, skip + size)
    shown = keys.primary[skip:]
    found = _of_actions(shown) if by_actions else _in_order(Execution.objects, shown)
    versions = FlowVersion.objects.defer("source").in_bulk({one.version_id for one in found})
    for execution in found:
        execution.version = versions[execution.version_id]
    return Found(found, keys)


def executions(wanted: Wanted, place: Place, now: datetime, size: int = PAGE) -> Executions:
    """A page of executions as `find` finds them. A text without a time is looked for in the last day.

    One query more than `find`.
    """
    if wanted.text and wanted.since is None:
        wanted = replace(wanted, since=(wanted.until or now) - TEXT_LOOKS_BACK)
    found = find(wanted, place, size)
    return Executions(_told(found.executions, now), found.place, wanted.since)


def events(wanted: WantedEvents, place: Place, size: int = PAGE, skip: int = 0) -> Events:
    """A page of the kept events, newest first, without the first `skip`. Mostly three queries."""
    given = {"pack_name": wanted.pack, "name": wanted.name}
    equal = {name: value for name, value in given.items() if value}
    among = of_events(wanted.pack, wanted.name)
    look = Look(Event.objects.all(), "id", equal, EVENT_INDEXES, None, wanted.since, wanted.until, among=among)
    keys = page(look, place, skip + size)
    return Events(_in_order(Event.objects, keys.primary[skip:]), keys)


def events_with(flow: str, wanted: WantedEvents, size: int, skip: int = 0) -> list[Event]:
    """The last events that a flow has outcomes with, newest first, among those that `events_of_flow` looks at."""
    ids = events_of_flow(flow, min(skip + size, MOST_EVENTS), pack_name=wanted.pack, event_name=wanted.name)
    return list(Event.objects.filter(id__in=ids[skip:]).order_by("-id"))


def _look_at_executions(wanted: Wanted) -> Look:
    def rest(rows: "QuerySet[Any]") -> "QuerySet[Any]":
        return having(rows, _matching(wanted, OuterRef("id")))

    return Look(
        Execution.objects.all(),
        "latest_action_id",
        wanted.of_execution,
        EXECUTION_INDEXES,
        rest if wanted.about_actions else None,
        wanted.since,
        wanted.until,
        _look_at(wanted),
        _check(wanted, "id"),
    )


def _look_at_actions(wanted: Wanted) -> Look:
    """Actions stand for their executions; where several match, the newest alone does."""

    def rest(rows: "QuerySet[Any]") -> "QuerySet[Any]":
        newer = _matching(wanted, OuterRef("correlation_id")).filter(id__gt=OuterRef("id"))
        rows = having(with_labels(rows, wanted.labels), newer, some=False)
        if not wanted.state:
            return rows
        return having(rows, Execution.objects.filter(id=OuterRef("correlation_id"), state=wanted.state))

    return Look(
        Action.objects.all(),
        "id",
        wanted.of_action,
        ACTION_INDEXES,
        None if _only_step(wanted) else rest,
        wanted.since,
        wanted.until,
        _look_at(wanted),
        _check(wanted, "correlation_id"),
        of_labels(wanted.labels),
    )


def _only_step(wanted: Wanted) -> bool:
    """Whether what is asked for holds for one action of an execution at most: no step has two."""
    return bool(wanted.step) and not (wanted.command or wanted.pack or wanted.labels or wanted.state)


def _look_at(wanted: Wanted) -> int:
    return LOOK_AT_TEXTS if wanted.text else LOOK_AT


def _matching(wanted: Wanted, correlation_id: OuterRef) -> "QuerySet[Any]":
    """Actions of one execution that match, found by the execution: it has few, whatever other index there is."""
    return with_labels(aside(Action.objects.filter(correlation_id=correlation_id), wanted.of_action), wanted.labels)


def _check(wanted: Wanted, field: str) -> Check | None:
    """The text is looked for in what is shown of a context. In the column it would be found in secrets, too, and who
    may not see them could spell them out letter by letter."""
    return Check(field, lambda ids: _with_text(ids, wanted)) if wanted.text else None


def _with_text(correlation_ids: Sequence[str], wanted: Wanted) -> Set[str]:
    """Those of the executions in which an action that matches has the text. One query for so many, so that the database
    looks each up by its index."""
    found: set[str] = set()
    for start in range(0, len(correlation_ids), LOOK_UP):
        some = correlation_ids[start : start + LOOK_UP]
        actions = aside(Action.objects.filter(correlation_id__in=some), wanted.of_action)
        contexts = with_labels(actions, wanted.labels).order_by().values_list("correlation_id", "context")
        found |= {one for one, context in contexts.iterator(chunk_size=100) if shows(context, wanted.text)}
    return found


def _of_actions(keys: list[str]) -> list[Execution]:
    owners = dict(Action.objects.filter(id__in=keys).values_list("id", "correlation_id"))
    return _in_order(Execution.objects, [owners[key] for key in keys if key in owners])


def _in_order(rows: Any, keys: Sequence[str]) -> list[Any]:
    """By their primary keys: of any other index PostgreSQL can't know, without statistics, that it finds one row."""
    found = rows.in_bulk(list(keys))
    return [found[key] for key in keys if key in found]


def _told(found: list[Execution], now: datetime) -> list[Told]:
    """With their actions, by one query."""
    actions: dict[str, list[Action]] = {execution.id: [] for execution in found}
    for action in Action.objects.filter(correlation_id__in=list(actions)).only(*STORY_FIELDS).order_by("id"):
        actions[action.correlation_id].append(action)
    return [Told(one, actions[one.id], story(one, actions[one.id], now)) for one in found]
