"""Why a flow did not run: what flows made of events, and flows that almost listened to one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.models import Event, Flow, FlowVersion, Listener

MOST_HINTS = 50
# How many flows, and how many events of one pack and name, are looked at.
MOST_LISTENERS = 1000
MOST_EVENTS = 500
MOST_PAIRS = 100


@dataclass(frozen=True)
class Hint:
    """A flow that made nothing of an event, and why; `message` goes on after the flow's name."""

    flow: str
    message: str


@dataclass(frozen=True)
class FlowOutcome:
    """An event, and what one flow made of it: an entry of the event's `outcomes`."""

    event: Event
    outcome: Mapping[str, Any]


def why(event: Event) -> list[Hint]:
    """The flows that one would expect among the event's outcomes, as they are now; 50 at most.

    What the flows that listened made of it stands in the outcomes themselves.
    """
    told = {outcome["flow"] for outcome in event.outcomes}
    hints: dict[str, Hint] = {}
    for hint in [*_listeners(event), *_other_packs(event), *_other_spellings(event)]:
        if hint.flow not in told:
            hints.setdefault(hint.flow, hint)
    return list(hints.values())[:MOST_HINTS]


def _listeners(event: Event) -> Iterator[Hint]:
    flows = Flow.objects.filter(listeners__pack_name=event.pack_name, listeners__event_name=event.name)
    for name, enabled in flows.order_by("enabled", "id").values_list("name", "enabled")[:MOST_LISTENERS]:
        later = "listens to it now, but was saved or enabled after it came"
        yield Hint(name, later if enabled else "listens to it, but is disabled")


def _other_packs(event: Event) -> Iterator[Hint]:
    found = Listener.objects.filter(event_name=event.name).exclude(pack_name=event.pack_name).order_by("flow_id")
    for flow, pack_name in found.values_list("flow__name", "pack_name")[:MOST_LISTENERS]:
        yield Hint(flow, f"listens to {event.name} of {pack_name}, not of {event.pack_name}{_case(pack_name, event)}")


def _other_spellings(event: Event) -> Iterator[Hint]:
    found = Listener.objects.filter(pack_name=event.pack_name).exclude(event_name=event.name).order_by("flow_id")
    for flow, name in found.values_list("flow__name", "event_name")[:MOST_LISTENERS]:
        if name.casefold() == event.name.casefold():
            yield Hint(flow, f"listens to {name}, not to {event.name}: capital letters count")


def _case(pack_name: str, event: Event) -> str:
    return ": capital letters count" if pack_name.casefold() == event.pack_name.casefold() else ""


def why_flow(flow: Flow, limit: int = 20) -> list[FlowOutcome]:
    """What the flow made of the last events that its steps wait for, newest first."""
    events = Event.objects.filter(id__in=events_of_flow(flow.name, limit)).defer("payload").order_by("-id")
    return [
        FlowOutcome(event, outcome) for event in events for outcome in event.outcomes if outcome["flow"] == flow.name
    ]


def events_of_flow(name: str, most: int, *, pack_name: str = "", event_name: str = "") -> list[str]:
    """The ids of the last events that the flow has outcomes with, newest first; of this pack or name, if any is given.

    They are looked for among the last MOST_EVENTS of each pack and event that the flow's newest version waits for.
    """
    pairs = [pair for pair in _waits_for(name) if pack_name in ("", pair[0]) and event_name in ("", pair[1])]
    found = [event_id for pair in pairs for event_id in _with_outcome(name, *pair, most)]
    return sorted(found, reverse=True)[:most]


def _waits_for(name: str) -> list[tuple[str, str]]:
    """The pack and event names of all steps, triggers or not; also of a flow that was deleted."""
    newest = FlowVersion.objects.filter(flow_name=name).order_by("-id").only("document").first()
    steps = newest.document.get("steps", []) if newest else []
    return list(dict.fromkeys((step["event"]["packName"], step["event"]["name"]) for step in steps))[:MOST_PAIRS]


def _with_outcome(name: str, pack_name: str, event_name: str, most: int) -> list[str]:
    found: list[str] = []
    rows = Event.objects.filter(pack_name=pack_name, name=event_name).order_by("-id").values_list("id", "outcomes")
    for event_id, outcomes in rows[:MOST_EVENTS].iterator(chunk_size=50):
        if any(outcome["flow"] == name for outcome in outcomes):
            found.append(event_id)
        if len(found) == most:
            break
    return found


def criteria_of(outcomes: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """The text of the criteria that were false in outcomes of flows, by the flow's version and the step. One query, and
    none where none were; the versions of MOST_HINTS flows at most."""
    asked = [
        (one["uuid"], step["stepId"]) for one in outcomes for step in one["steps"] if step["outcome"] == "criteria"
    ]
    wanted = list(dict.fromkeys(version_id for version_id, _ in asked))[:MOST_HINTS]
    versions = FlowVersion.objects.only("document").in_bulk(wanted) if wanted else {}
    return {
        (version_id, step_id): str(_step_of(versions[version_id], step_id).get("criteria", ""))
        for version_id, step_id in asked
        if version_id in versions
    }


def _step_of(version: FlowVersion, step_id: str) -> Mapping[str, Any]:
    steps = enumerate(version.document.get("steps", []), start=1)
    return next((step for place, step in steps if step.get("id", f"step-{place}") == step_id), {})


@dataclass(frozen=True)
class Missed:
    """An event that a flow almost listened to, the newest of its kind, and why it did not."""

    event: Event
    message: str


def almost_heard(flow: Flow) -> list[Missed]:
    """Events among the last MOST_EVENTS of all that differ from what the flow listens to in the pack alone, or in
    capital letters."""
    listened = set(flow.listeners.values_list("pack_name", "event_name"))
    newest: dict[tuple[str, str], Event] = {}
    for event in Event.objects.order_by("-id").defer("payload", "outcomes", "pack_labels")[:MOST_EVENTS]:
        newest.setdefault((event.pack_name, event.name), event)
    missed = [Missed(event, message) for event in newest.values() if (message := _missed(event, listened))]
    return missed[:MOST_HINTS]


def _missed(event: Event, listened: set[tuple[str, str]]) -> str:
    """Why nobody heard the event, where somebody nearly did; '' where it was heard, or is about something else."""
    if (event.pack_name, event.name) in listened:
        return ""
    folded = {(pack_name.casefold(), name.casefold()): (pack_name, name) for pack_name, name in listened}
    if near := folded.get((event.pack_name.casefold(), event.name.casefold())):
        return f"the flow listens to {near[0]}.{near[1]}: capital letters count"
    packs = sorted(pack_name for pack_name, name in listened if name == event.name)
    return f"the flow listens to {event.name} of {' and '.join(packs)}, not of {event.pack_name}" if packs else ""
