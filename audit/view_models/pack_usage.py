"""Flows that use a pack: as a trigger, in a later step or in a command."""

import json
from dataclasses import dataclass
from typing import Any

from django.db.models import Value
from django.db.models.functions import StrIndex

from flows.definition import PartOutline, read_outline
from flows.models import EventSubscription, Flow
from packs.models import Pack

MAX_FLOWS = 50
# Bound on flows that are searched for the pack's name.
MAX_SCANNED_FLOWS = 2_000


@dataclass(frozen=True)
class FlowUsage:
    """A flow, the pack's events that its steps wait for, and the commands that it sends to the pack."""

    flow: Flow
    events: list[str]
    commands: list[str]
    is_trigger: bool


@dataclass(frozen=True)
class PackUsage:
    """Flows that use a pack, by name; `is_truncated` if there may be more."""

    flows: list[FlowUsage]
    is_truncated: bool


def find_pack_usage(pack: Pack) -> PackUsage:
    """Find flows with steps that this pack could trigger or run, by its name and labels. At most three queries.

    The index of subscriptions finds the flows that it triggers. For the others the database searches the documents of
    at most MAX_SCANNED_FLOWS flows.
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
    """Find flows with this `packName` in their document."""
    pair = f'"packName":{json.dumps(pack_name)}'
    scanned = Flow.objects.order_by("-id").values("pk")[:MAX_SCANNED_FLOWS]
    naming = Flow.objects.filter(pk__in=scanned).alias(place=StrIndex("version__document", Value(pair)))
    return naming.filter(place__gt=0).order_by("pk").values_list("pk", flat=True)


def _build_flow_usage(flow: Flow, pack: Pack) -> FlowUsage | None:
    steps = read_outline(flow.version.document).steps
    events = [step.event.name for step in steps if step.event and _is_for_pack(step.event, pack)]
    commands = [step.command.name for step in steps if _is_for_pack(step.command, pack)]
    if not events and not commands:
        return None
    triggers = any(step.is_trigger and step.event and _is_for_pack(step.event, pack) for step in steps)
    return FlowUsage(flow, list(dict.fromkeys(events)), list(dict.fromkeys(commands)), triggers)


def _is_for_pack(part: PartOutline, pack: Pack) -> bool:
    """Return True if an event or a command matches the pack. A label with a template may become any value."""
    return part.pack_name == pack.name and all(
        _can_match_label(pack, name, value) for name, value in part.pack_labels.items()
    )


def _can_match_label(pack: Pack, name: str, value: str) -> bool:
    return "{{" in value or "{%" in value or pack.labels.get(name) == value
