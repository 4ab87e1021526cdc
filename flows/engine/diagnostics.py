"""Why a flow did not run: what flows made of events, and flows that almost listened to one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.models import Event, EventSubscription, Flow, FlowVersion

MAX_HINTS = 50
# How many flows, and how many events of one pack and name, are looked at.
MAX_SUBSCRIPTIONS = 1000
MAX_SCANNED_EVENTS = 500
MAX_EVENT_PAIRS = 100


@dataclass(frozen=True)
class Hint:
    """A flow that made nothing of an event, and why; `message` goes on after the flow's name."""

    flow_name: str
    message: str


@dataclass(frozen=True)
class FlowOutcome:
    """An event, and what one flow made of it: an entry of the event's `outcomes`."""

    event: Event
    outcome: Mapping[str, Any]


def explain_event(event: Event) -> list[Hint]:
    """The flows that one would expect among the event's outcomes, as they are now; 50 at most.

    What the flows that listened made of it stands in the outcomes themselves.
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
        enabled_later = "listens to it now, but was saved or enabled after it came"
        yield Hint(name, enabled_later if enabled else "listens to it, but is disabled")


def _hint_other_packs(event: Event) -> Iterator[Hint]:
    subscriptions = (
        EventSubscription.objects.filter(event_name=event.name).exclude(pack_name=event.pack_name).order_by("flow_id")
    )
    for flow_name, pack_name in subscriptions.values_list("flow__name", "pack_name")[:MAX_SUBSCRIPTIONS]:
        yield Hint(
            flow_name,
            f"listens to {event.name} of {pack_name}, not of {event.pack_name}"
            f"{_describe_case_difference(pack_name, event)}",
        )


def _hint_other_spellings(event: Event) -> Iterator[Hint]:
    subscriptions = (
        EventSubscription.objects.filter(pack_name=event.pack_name).exclude(event_name=event.name).order_by("flow_id")
    )
    for flow_name, event_name in subscriptions.values_list("flow__name", "event_name")[:MAX_SUBSCRIPTIONS]:
        if event_name.casefold() == event.name.casefold():
            yield Hint(flow_name, f"listens to {event_name}, not to {event.name}: capital letters count")


def _describe_case_difference(pack_name: str, event: Event) -> str:
    return ": capital letters count" if pack_name.casefold() == event.pack_name.casefold() else ""


def explain_flow(flow: Flow, limit: int = 20) -> list[FlowOutcome]:
    """What the flow made of the last events that its steps wait for, newest first."""
    events = Event.objects.filter(id__in=find_flow_event_ids(flow.name, limit)).defer("payload").order_by("-id")
    return [
        FlowOutcome(event, outcome) for event in events for outcome in event.outcomes if outcome["flow"] == flow.name
    ]


def find_flow_event_ids(name: str, limit: int, *, pack_name: str = "", event_name: str = "") -> list[str]:
    """The ids of the last events that the flow has outcomes with, newest first; of this pack or name, if any is given.

    They are looked for among the last MOST_EVENTS of each pack and event that the flow's newest version waits for.
    """
    pairs = [pair for pair in _find_awaited_events(name) if pack_name in ("", pair[0]) and event_name in ("", pair[1])]
    event_ids = [event_id for pair in pairs for event_id in _find_ids_with_outcome(name, *pair, limit)]
    return sorted(event_ids, reverse=True)[:limit]


def _find_awaited_events(name: str) -> list[tuple[str, str]]:
    """The pack and event names of all steps, triggers or not; also of a flow that was deleted."""
    newest = FlowVersion.objects.filter(flow_name=name).order_by("-id").only("document").first()
    steps = newest.document.get("steps", []) if newest else []
    return list(dict.fromkeys((step["event"]["packName"], step["event"]["name"]) for step in steps))[:MAX_EVENT_PAIRS]


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
    """The text of the criteria that were false in outcomes of flows, by the flow's version and the step. One query, and
    none where none were; the versions of MOST_HINTS flows at most."""
    false_steps = [
        (outcome["uuid"], step["stepId"])
        for outcome in outcomes
        for step in outcome["steps"]
        if step["outcome"] == "criteria"
    ]
    version_ids = list(dict.fromkeys(version_id for version_id, _ in false_steps))[:MAX_HINTS]
    versions = FlowVersion.objects.only("document").in_bulk(version_ids) if version_ids else {}
    return {
        (version_id, step_id): str(_find_step(versions[version_id], step_id).get("criteria", ""))
        for version_id, step_id in false_steps
        if version_id in versions
    }


def _find_step(version: FlowVersion, step_id: str) -> Mapping[str, Any]:
    steps = enumerate(version.document.get("steps", []), start=1)
    return next((step for number, step in steps if step.get("id", f"step-{number}") == step_id), {})


@dataclass(frozen=True)
class NearMiss:
    """An event that a flow almost listened to, the newest of its kind, and why it did not."""

    event: Event
    message: str


def find_near_misses(flow: Flow) -> list[NearMiss]:
    """Events among the last MOST_EVENTS of all that differ from what the flow listens to in the pack alone, or in
    capital letters."""
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
    """Why nobody heard the event, where somebody nearly did; '' where it was heard, or is about something else."""
    if (event.pack_name, event.name) in subscribed_pairs:
        return ""
    pairs_by_folded = {
        (pack_name.casefold(), name.casefold()): (pack_name, name) for pack_name, name in subscribed_pairs
    }
    if folded_match := pairs_by_folded.get((event.pack_name.casefold(), event.name.casefold())):
        return f"the flow listens to {folded_match[0]}.{folded_match[1]}: capital letters count"
    pack_names = sorted(pack_name for pack_name, name in subscribed_pairs if name == event.name)
    return (
        f"the flow listens to {event.name} of {' and '.join(pack_names)}, not of {event.pack_name}"
        if pack_names
        else ""
    )
