"""What an editor offers while somebody writes: names that are registered, words of templates, paths in payloads."""

from collections.abc import Iterator, Sequence
from typing import Any

from flows.lang.filters import FILTERS
from flows.lang.functions import FUNCTIONS
from flows.lang.templates import TAGS
from flows.models import Event
from flyte_site.masking import masked
from packs.models import Pack

MOST_PACKS = 2000
MOST_PATHS = 300
MOST_DEPTH = 8


def words() -> dict[str, Any]:
    """What is the same for all flows: packs with their events and commands, filters, functions and tags."""
    packs: dict[str, dict[str, set[str]]] = {}
    for pack in Pack.objects.order_by("-last_seen").only("name", "events", "commands")[:MOST_PACKS]:
        known = packs.setdefault(pack.name, {"events": set(), "commands": set()})
        known["commands"].update(command["name"] for command in pack.commands)
        known["events"].update(event["name"] for event in pack.events)
        known["events"].update(event for command in pack.commands for event in command["events"])
    shown = {name: {kind: sorted(names) for kind, names in known.items()} for name, known in sorted(packs.items())}
    return {"packs": shown, "filters": sorted(FILTERS), "functions": sorted(FUNCTIONS), "tags": sorted(TAGS)}


def event_paths(events: Sequence[Event]) -> list[str]:
    """What templates can say of such events: `Event.Payload.user.id`, `Event.Pack.Labels.env`; MOST_PATHS at most."""
    found: dict[str, None] = {}
    for event in events:
        for path in _paths("Event.Payload", masked(event.payload), 0):
            found[path] = None
            if len(found) >= MOST_PATHS:
                return list(found)
        found.update({f"Event.Pack.Labels.{key}": None for key in event.pack_labels if key.isidentifier()})
    return list(found)


def _paths(path: str, value: Any, depth: int) -> Iterator[str]:
    if depth > MOST_DEPTH:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key.isidentifier():
                yield f"{path}.{key}"
                yield from _paths(f"{path}.{key}", item, depth + 1)
    elif isinstance(value, list) and value:
        yield from _paths(f"{path}.0", value[0], depth + 1)
