"""What a flow names that no pack has registered (yet), and which registered name was probably meant."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from flows.document import UNPARSED_NAME, FlowDefinition, FlowIssue, StepDefinition
from flows.lang import find_closest_name
from packs.models import Pack
from packs.queue import FATAL_EVENT

# Among so many packs the one that was meant is looked for.
MOST_PACKS = 2000


@dataclass
class _Known:
    """What the packs of a name have registered; `events` is empty where they declare none at all."""

    commands: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)


def registry_warnings(document: FlowDefinition) -> list[FlowIssue]:
    """Packs, commands and events that the flow names and that no pack has registered (yet)."""
    names = {step.event.pack_name for step in document.steps} | {step.command.pack_name for step in document.steps}
    known = _known(names)
    missing = names - known.keys() - {UNPARSED_NAME}
    others = _other_packs(known) if missing else []
    hints = {name: _meant(name, others) for name in missing}
    return [finding for step in document.steps for finding in _in_step(step, known, hints)]


def _in_step(step: StepDefinition, known: dict[str, _Known], hints: dict[str, str]) -> Iterator[FlowIssue]:
    event, command = step.event, step.command
    if event.pack_name in hints:
        yield _no_pack(f"{step.path}.event.packName", event.pack_name, hints)
    elif (found := known.get(event.pack_name)) and found.events and event.name not in {*found.events, FATAL_EVENT}:
        told = f"no pack {event.pack_name!r} has declared an event {event.name!r}"
        yield from _unless_unread(f"{step.path}.event.name", event.name, told, {*found.events, FATAL_EVENT})
    if command.pack_name in hints:
        yield _no_pack(f"{step.path}.command.packName", command.pack_name, hints)
    elif (found := known.get(command.pack_name)) and command.name not in found.commands:
        told = f"no pack {command.pack_name!r} has registered a command {command.name!r}"
        yield from _unless_unread(f"{step.path}.command.name", command.name, told, found.commands)


def _no_pack(path: str, name: str, hints: dict[str, str]) -> FlowIssue:
    return FlowIssue(path, f"no pack {name!r} is registered{hints[name]}")


def _unless_unread(path: str, name: str, told: str, names: Collection[str]) -> Iterator[FlowIssue]:
    if name != UNPARSED_NAME:
        yield FlowIssue(path, f"{told}{_meant(name, names)}")


def _meant(name: str, names: Collection[str]) -> str:
    meant = find_closest_name(name, sorted(names))
    return f"; did you mean {meant!r}?" if meant else ""


def _known(names: Collection[str]) -> dict[str, _Known]:
    known: dict[str, _Known] = {}
    for pack in Pack.objects.filter(name__in=names).only("name", "commands", "events"):
        found = known.setdefault(pack.name, _Known())
        found.commands.update(command["name"] for command in pack.commands)
        found.events.update(event["name"] for event in pack.events)
        found.events.update(event for command in pack.commands for event in command["events"])
    return known


def _other_packs(known: Collection[str]) -> list[str]:
    """The names of packs, those last seen first."""
    names = Pack.objects.exclude(name__in=known).order_by("-last_seen").values_list("name", flat=True)
    return [*known, *dict.fromkeys(names[:MOST_PACKS])]
