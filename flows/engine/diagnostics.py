"""Diagnosis of a flow that did not run: outcomes of events by flow, and near misses."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.definition import read_outline
from flows.models import Event, EventSubscription, Flow, FlowVersion

MAX_HINTS = 50
# Limits of the subscriptions that are read, and of the events that are scanned for each pack and name.
MAX_SUBSCRIPTIONS = 1000
MAX_SCANNED_EVENTS = 500
MAX_EVENT_PAIRS = 100
CASE_SENSITIVE = " (names are case-sensitive)"


@dataclass(frozen=True)
class Hint:
    """A flow that did not run on an event, and the reason; `message` continues a sentence after the flow's name."""

    flow_name: str
    message: str


@dataclass(frozen=True)
class FlowOutcome:
    """An event, and its outcome for one flow: an entry of the event's `outcomes`."""

    event: Event
    outcome: Mapping[str, Any]


def explain_event(event: Event) -> list[Hint]:
    """List flows that a reader may expect among the outcomes, with the reason why each is missing; at most MAX_HINTS.

    The reasons follow from the flows as they are now. Flows that matched the event are in the outcomes themselves.
    """
    listed_flows = {outcome["flow"] for outcome in event.outcomes}
    hints: dict[str, Hint] = {}
    for hint in [*_hint_subscribed_flows(event), *_hint_other_packs(event), *_hint_other_spellings(event)]:
        if hint.flow_name not in listed_flows:
            hints.setdefault(hint.flow_name, hint)
    return list(hints.values())[:MAX_HINTS]


def _hint_subscribed_flows(event: Event) -> Iterator[Hint]:
    flows = Flow.objects.filter(subscriptions__pack_name=event.pack_name, subscriptions__event_name=event.name)
    for name, enabled in flows.order_by("enabled", "id").values_list("name", "enabled")[:MAX_SUBSCRIPTIONS]:
        enabled_later = "subscribes to this event now, but was saved or enabled after it was received"
        yield Hint(name, enabled_later if enabled else "subscribes to this event, but is disabled")


def _hint_other_packs(event: Event) -> Iterator[Hint]:
    subscriptions = (
        EventSubscription.objects.filter(event_name=event.name).exclude(pack_name=event.pack_name).order_by("flow_id")
    )
    for flow_name, pack_name in subscriptions.values_list("flow__name", "pack_name")[:MAX_SUBSCRIPTIONS]:
        yield Hint(
            flow_name,
            f"subscribes to {event.name} of {pack_name}, not of {event.pack_name}"
            f"{_describe_case_difference(pack_name, event)}",
        )


def _hint_other_spellings(event: Event) -> Iterator[Hint]:
    subscriptions = (
        EventSubscription.objects.filter(pack_name=event.pack_name).exclude(event_name=event.name).order_by("flow_id")
    )
    for flow_name, event_name in subscriptions.values_list("flow__name", "event_name")[:MAX_SUBSCRIPTIONS]:
        if event_name.casefold() == event.name.casefold():
            yield Hint(flow_name, f"subscribes to {event_name}, not to {event.name}{CASE_SENSITIVE}")


def _describe_case_difference(pack_name: str, event: Event) -> str:
    return CASE_SENSITIVE if pack_name.casefold() == event.pack_name.casefold() else ""


def explain_flow(flow: Flow, limit: int = 20) -> list[FlowOutcome]:
    """List the outcomes of the flow for the last events that its steps react to, newest first."""
    events = Event.objects.filter(id__in=find_flow_event_ids(flow.name, limit)).defer("payload").order_by("-id")
    return [
        FlowOutcome(event, outcome) for event in events for outcome in event.outcomes if outcome["flow"] == flow.name
    ]


def find_flow_event_ids(name: str, limit: int, *, pack_name: str = "", event_name: str = "") -> list[str]:
    """Find the ids of the last events that have an outcome for the flow, newest first; optionally of one pack or name.

    The search covers the last MAX_SCANNED_EVENTS of each pack and event that the flow's newest version reacts to.
    """
    pairs = [pair for pair in _find_awaited_events(name) if pack_name in ("", pair[0]) and event_name in ("", pair[1])]
    event_ids = [event_id for pair in pairs for event_id in _find_ids_with_outcome(name, *pair, limit)]
    return sorted(event_ids, reverse=True)[:limit]


def _find_awaited_events(name: str) -> list[tuple[str, str]]:
    """List the pack and event names that all steps react to, also of a deleted flow."""
    newest = FlowVersion.objects.filter(flow_name=name).order_by("-id").only("document").first()
    events = [step.event for step in read_outline(newest.document).steps if step.event] if newest else []
    return list(dict.fromkeys((event.pack_name, event.name) for event in events))[:MAX_EVENT_PAIRS]


def _find_ids_with_outcome(name: str, pack_name: str, event_name: str, limit: int) -> list[str]:
    event_ids: list[str] = []
    rows = Event.objects.filter(pack_name=pack_name, name=event_name).order_by("-id").values_list("id", "outcomes")
    for event_id, outcomes in rows[:MAX_SCANNED_EVENTS].iterator(chunk_size=50):
        if any(outcome["flow"] == name for outcome in outcomes):
            event_ids.append(event_id)
        if len(event_ids) == limit:
            break
    return event_ids


def find_false_criteria(outcomes: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Find the text of the criteria that were false in outcomes, by flow version and step id.

    Read at most MAX_HINTS versions, by one query, or by none if no criteria were false.
    """
    false_steps = [
        (outcome["uuid"], step["stepId"])
        for outcome in outcomes
        for step in outcome["steps"]
        if step["outcome"] == "criteria"
    ]
    version_ids = list(dict.fromkeys(version_id for version_id, _ in false_steps))[:MAX_HINTS]
    versions = FlowVersion.objects.only("document").in_bulk(version_ids) if version_ids else {}
    return {
        (version_id, step_id): _find_criteria(versions[version_id], step_id)
        for version_id, step_id in false_steps
        if version_id in versions
    }


def _find_criteria(version: FlowVersion, step_id: str) -> str:
    step = read_outline(version.document).get_step(step_id)
    return step.criteria if step else ""


@dataclass(frozen=True)
class NearMiss:
    """An event that nearly matches a flow's subscriptions, the newest of its pack and name, and the difference."""

    event: Event
    message: str


def find_near_misses(flow: Flow) -> list[NearMiss]:
    """Find events among the last MAX_SCANNED_EVENTS that differ from the flow's subscriptions only in pack or case."""
    subscribed_pairs = set(flow.subscriptions.values_list("pack_name", "event_name"))
    newest_events: dict[tuple[str, str], Event] = {}
    for event in Event.objects.order_by("-id").defer("payload", "outcomes", "pack_labels")[:MAX_SCANNED_EVENTS]:
        newest_events.setdefault((event.pack_name, event.name), event)
    near_misses = [
        NearMiss(event, message)
        for event in newest_events.values()
        if (message := _explain_near_miss(event, subscribed_pairs))
    ]
    return near_misses[:MAX_HINTS]


def _explain_near_miss(event: Event, subscribed_pairs: set[tuple[str, str]]) -> str:
    """Explain the difference between the event and the nearest subscription; '' if it matches one, or none is near."""
    if (event.pack_name, event.name) in subscribed_pairs:
        return ""
    pairs_by_folded = {
        (pack_name.casefold(), name.casefold()): (pack_name, name) for pack_name, name in subscribed_pairs
    }
    if folded_match := pairs_by_folded.get((event.pack_name.casefold(), event.name.casefold())):
        return f"the flow subscribes to {folded_match[0]}.{folded_match[1]}{CASE_SENSITIVE}"
    pack_names = sorted(pack_name for pack_name, name in subscribed_pairs if name == event.name)
    return (
        f"the flow subscribes to {event.name} of {' and '.join(pack_names)}, not of {event.pack_name}"
        if pack_names
        else ""
    )
