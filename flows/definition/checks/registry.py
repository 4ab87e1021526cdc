"""Names in flows that no pack has registered (yet), and the registered names that were probably meant."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from flows.definition import UNPARSED_NAME, FlowDefinition, FlowIssue, StepDefinition
from flows.template import find_closest_name
from packs.models import Pack
from packs.queue.results import FATAL_EVENT

# A similar name is searched among so many packs.
MAX_CANDIDATE_PACKS = 2000


@dataclass
class _RegisteredNames:
    """The names that packs of one name have registered; `events` is empty if they declare no events at all."""

    commands: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)


def find_registry_warnings(definition: FlowDefinition) -> list[FlowIssue]:
    """List packs, commands and events that the flow names and that no pack has registered (yet)."""
    names = {step.event.pack_name for step in definition.steps} | {step.command.pack_name for step in definition.steps}
    registered = _load_registered(names)
    missing = names - registered.keys() - {UNPARSED_NAME}
    candidates = _list_candidate_packs(registered) if missing else []
    suggestions = {name: _suggest_name(name, candidates) for name in missing}
    return [issue for step in definition.steps for issue in _check_step(step, registered, suggestions)]


def _check_step(
    step: StepDefinition, registered: dict[str, _RegisteredNames], suggestions: dict[str, str]
) -> Iterator[FlowIssue]:
    event, command = step.event, step.command
    if event.pack_name in suggestions:
        yield _report_missing_pack(f"{step.path}.event.packName", event.pack_name, suggestions)
    elif (
        (registered_names := registered.get(event.pack_name))
        and registered_names.events
        and event.name not in {*registered_names.events, FATAL_EVENT}
    ):
        message = f"pack {event.pack_name!r} has no event {event.name!r}"
        yield from _report_missing_name(
            f"{step.path}.event.name", event.name, message, {*registered_names.events, FATAL_EVENT}
        )
    if command.pack_name in suggestions:
        yield _report_missing_pack(f"{step.path}.command.packName", command.pack_name, suggestions)
    elif (registered_names := registered.get(command.pack_name)) and command.name not in registered_names.commands:
        message = f"pack {command.pack_name!r} has no command {command.name!r}"
        yield from _report_missing_name(f"{step.path}.command.name", command.name, message, registered_names.commands)


def _report_missing_pack(path: str, name: str, suggestions: dict[str, str]) -> FlowIssue:
    return FlowIssue(path, f"no pack {name!r} is registered{suggestions[name]}")


def _report_missing_name(path: str, name: str, message: str, candidates: Collection[str]) -> Iterator[FlowIssue]:
    if name != UNPARSED_NAME:
        yield FlowIssue(path, f"{message}{_suggest_name(name, candidates)}")


def _suggest_name(name: str, candidates: Collection[str]) -> str:
    nearest_name = find_closest_name(name, sorted(candidates))
    return f"; did you mean {nearest_name!r}?" if nearest_name else ""


def _load_registered(names: Collection[str]) -> dict[str, _RegisteredNames]:
    registered: dict[str, _RegisteredNames] = {}
    for pack in Pack.objects.filter(name__in=names).only("name", "commands", "events"):
        registered_names = registered.setdefault(pack.name, _RegisteredNames())
        registered_names.commands.update(command["name"] for command in pack.commands)
        registered_names.events.update(event["name"] for event in pack.events)
        registered_names.events.update(event for command in pack.commands for event in command["events"])
    return registered


def _list_candidate_packs(registered: Collection[str]) -> list[str]:
    """Return the names of packs, the last seen first."""
    names = Pack.objects.exclude(name__in=registered).order_by("-last_seen").values_list("name", flat=True)
    return [*registered, *dict.fromkeys(names[:MAX_CANDIDATE_PACKS])]
