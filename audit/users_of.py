"""Which flows name a pack: as what starts them, or in a later step or a command."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Value
from django.db.models.functions import StrIndex

from flows.models import Flow, Listener
from packs.models import Pack

MOST = 50
# How many flows are looked through for the pack's name.
LOOK_AT = 2_000


@dataclass(frozen=True)
class Use:
    """A flow, the events of the pack that its steps wait for, and the commands that it gives it."""

    flow: Flow
    events: list[str]
    commands: list[str]
    triggers: bool


@dataclass(frozen=True)
class Uses:
    """Flows that name a pack, by their names; `more` where there may be more of them."""

    found: list[Use]
    more: bool


def uses(pack: Pack) -> Uses:
    """The flows whose steps this pack could serve or start: its name, and labels that it has. Three queries at most.

    Those that it starts are found by the index of listeners. For the others the flows' texts are looked through, in the
    database, LOOK_AT at most.
    """
    starts = Listener.objects.filter(pack_name=pack.name).order_by("flow_id").values_list("flow_id", flat=True)
    started = list(dict.fromkeys(starts[: MOST + 1]))
    named = list(_naming(pack.name)[: MOST + 1])
    wanted = list(dict.fromkeys([*started, *named]))
    flows = Flow.objects.filter(pk__in=wanted[: 2 * MOST]).select_related("version").order_by("name")
    found = [use for flow in flows.defer("version__source") if (use := _use(flow, pack))]
    return Uses(found[:MOST], len(found) > MOST or len(started) > MOST or len(named) > MOST)


def _naming(pack_name: str) -> Any:
    """Flows in whose documents a `packName` is this one."""
    pair = f'"packName":{json.dumps(pack_name)}'
    looked_at = Flow.objects.order_by("-id").values("pk")[:LOOK_AT]
    found = Flow.objects.filter(pk__in=looked_at).alias(place=StrIndex("version__document", Value(pair)))
    return found.filter(place__gt=0).order_by("pk").values_list("pk", flat=True)


def _use(flow: Flow, pack: Pack) -> Use | None:
    steps = flow.version.document.get("steps", [])
    events = [step["event"]["name"] for step in steps if _is_about(step["event"], pack)]
    commands = [step["command"]["name"] for step in steps if _is_about(step["command"], pack)]
    if not events and not commands:
        return None
    triggers = any(not step.get("dependsOn") and _is_about(step["event"], pack) for step in steps)
    return Use(flow, list(dict.fromkeys(events)), list(dict.fromkeys(commands)), triggers)


def _is_about(part: Mapping[str, Any], pack: Pack) -> bool:
    """Whether an event or a command names the pack. A label with a template in it may become anything."""
    labels = part.get("packLabels") or {}
    return part["packName"] == pack.name and all(_fits(pack, name, value) for name, value in labels.items())


def _fits(pack: Pack, name: str, value: str) -> bool:
    return "{{" in value or "{%" in value or pack.labels.get(name) == value
