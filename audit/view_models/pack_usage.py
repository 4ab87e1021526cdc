"""Which flows name a pack: as what starts them, or in a later step or a command."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Value
from django.db.models.functions import StrIndex

from flows.models import EventSubscription, Flow
from packs.models import Pack

MAX_FLOWS = 50
# How many flows are looked through for the pack's name.
MAX_SCANNED_FLOWS = 2_000


@dataclass(frozen=True)
class FlowUsage:
    """A flow, the events of the pack that its steps wait for, and the commands that it gives it."""

    flow: Flow
    events: list[str]
    commands: list[str]
    is_trigger: bool


@dataclass(frozen=True)
class PackUsage:
    """Flows that name a pack, by their names; `more` where there may be more of them."""

    flows: list[FlowUsage]
    is_truncated: bool


def find_pack_usage(pack: Pack) -> PackUsage:
    """The flows whose steps this pack could serve or start: its name, and labels that it has. Three queries at most.

    Those that it starts are found by the index of listeners. For the others the flows' texts are looked through, in the
    database, LOOK_AT at most.
    """
    triggered_ids = (
        EventSubscription.objects.filter(pack_name=pack.name).order_by("flow_id").values_list("flow_id", flat=True)
    )
    trigger_flow_ids = list(dict.fromkeys(triggered_ids[: MAX_FLOWS + 1]))
    naming_flow_ids = list(_find_flows_naming(pack.name)[: MAX_FLOWS + 1])
    flow_ids = list(dict.fromkeys([*trigger_flow_ids, *naming_flow_ids]))
    flows = Flow.objects.filter(pk__in=flow_ids[: 2 * MAX_FLOWS]).select_related("version").order_by("name")
    usages = [usage for flow in flows.defer("version__source") if (usage := _build_flow_usage(flow, pack))]
    return PackUsage(
        usages[:MAX_FLOWS],
        len(usages) > MAX_FLOWS or len(trigger_flow_ids) > MAX_FLOWS or len(naming_flow_ids) > MAX_FLOWS,
    )


def _find_flows_naming(pack_name: str) -> Any:
    """Flows in whose documents a `packName` is this one."""
    pair = f'"packName":{json.dumps(pack_name)}'
    scanned = Flow.objects.order_by("-id").values("pk")[:MAX_SCANNED_FLOWS]
    naming = Flow.objects.filter(pk__in=scanned).alias(place=StrIndex("version__document", Value(pair)))
    return naming.filter(place__gt=0).order_by("pk").values_list("pk", flat=True)


def _build_flow_usage(flow: Flow, pack: Pack) -> FlowUsage | None:
    steps = flow.version.document.get("steps", [])
    events = [step["event"]["name"] for step in steps if _is_for_pack(step["event"], pack)]
    commands = [step["command"]["name"] for step in steps if _is_for_pack(step["command"], pack)]
    if not events and not commands:
        return None
    triggers = any(not step.get("dependsOn") and _is_for_pack(step["event"], pack) for step in steps)
    return FlowUsage(flow, list(dict.fromkeys(events)), list(dict.fromkeys(commands)), triggers)


def _is_for_pack(part: Mapping[str, Any], pack: Pack) -> bool:
    """Whether an event or a command names the pack. A label with a template in it may become anything."""
    labels = part.get("packLabels") or {}
    return part["packName"] == pack.name and all(_can_match_label(pack, name, value) for name, value in labels.items())


def _can_match_label(pack: Pack, name: str, value: str) -> bool:
    return "{{" in value or "{%" in value or pack.labels.get(name) == value
