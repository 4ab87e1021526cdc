"""Completions for the flow editor: registered names, words of templates, paths in payloads."""

from collections.abc import Iterator, Sequence
from typing import Any

from flows.definition.document import list_key_names
from flows.models import Event
from flows.template.compiler import TAGS
from flows.template.filters import FILTERS
from flows.template.functions import FUNCTIONS
from flyte_site.core.secrets.redaction import redact_keys
from packs.models import Pack

MAX_PACKS = 2000
MAX_PATHS = 300
MAX_DEPTH = 8


def collect_words() -> dict[str, Any]:
    """Collect completions for all flows: packs with their events and commands, filters, functions and tags."""
    names_by_pack: dict[str, dict[str, set[str]]] = {}
    for pack in Pack.objects.order_by("-last_seen").only("name", "events", "commands")[:MAX_PACKS]:
        pack_names = names_by_pack.setdefault(pack.name, {"events": set(), "commands": set()})
        pack_names["commands"].update(command["name"] for command in pack.commands)
        pack_names["events"].update(event["name"] for event in pack.events)
        pack_names["events"].update(event for command in pack.commands for event in command["events"])
    sorted_names = {
        name: {kind: sorted(names) for kind, names in pack_names.items()}
        for name, pack_names in sorted(names_by_pack.items())
    }
    return {
        "packs": sorted_names,
        "keys": list_key_names(),
        "filters": sorted(FILTERS),
        "functions": sorted(FUNCTIONS),
        "tags": sorted(TAGS),
    }


def collect_event_paths(events: Sequence[Event]) -> list[str]:
    """Collect template paths of events, such as `Event.Payload.user.id` and `Event.Pack.Labels.env`; MAX_PATHS at
    most.
    """
    paths: dict[str, None] = {}
    for event in events:
        for path in _iter_paths("Event.Payload", redact_keys(event.payload), 0):
            paths[path] = None
            if len(paths) >= MAX_PATHS:
                return list(paths)
        paths.update({f"Event.Pack.Labels.{key}": None for key in event.pack_labels if key.isidentifier()})
    return list(paths)


def _iter_paths(path: str, value: Any, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key.isidentifier():
                yield f"{path}.{key}"
                yield from _iter_paths(f"{path}.{key}", item, depth + 1)
    elif isinstance(value, list) and value:
        yield from _iter_paths(f"{path}.0", value[0], depth + 1)
