"""The console's first page: how the server stands, and, where nothing ran yet, how to see a first flow run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from audit import hour_bars
from audit.approval_pages import deciding
from audit.approvals_shown import waiting
from audit.execution_pages import LIST, address, around
from audit.figures import Load, hours, loads
from audit.filters import executions_of
from audit.first_steps import first_steps, is_first_time
from audit.paging import Place
from audit.search import Wanted, executions
from flows.models import ExecutionState, Flow
from flyte_site.rest.links import base_url
from packs.models import STATUSES, Pack, of_status
from packs.orphans import Orphaned, orphaned

MOST_LOADS = 10
MOST_FAILURES = 8
MOST_QUESTIONS = 5
BLOCKS = {
    "packs": "packs.view_pack",
    "actions": "packs.view_action",
    "flows": "flows.view_flow",
    "executions": "flows.view_execution",
    "approvals": "packs.view_approval",
}


@dataclass(frozen=True)
class ShownLoad:
    """What waits for packs of one name; `lost` of it for packs that are not there. `query` finds its executions."""

    load: Load
    lost: int
    query: str


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The first page."""
    return TemplateResponse(request, "admin/index.html", around(request, title="Home", **_shown(request)))


@require_GET
def home_now(request: HttpRequest) -> HttpResponse:
    """The part of it that follows what happens. `steps` says that the first steps stand on the page."""
    return TemplateResponse(request, "console/home_now.html", _shown(request))


def _shown(request: HttpRequest) -> dict[str, Any]:
    """The blocks that this person may see, each by its name; `sees` tells which."""
    now = timezone.now()
    sees = {name: request.user.has_perm(permission) for name, permission in BLOCKS.items()}
    return {
        "sees": sees,
        "any_block": any(sees.values()),
        "steps": _steps(request, sees),
        "asks_for_tokens": settings.FLYTE_AUTH != "none",
        "packs": _packs(now) if sees["packs"] else {},
        "queue": _queue() if sees["actions"] else {},
        "flows": _flows() if sees["flows"] else {},
        **(_ended(now) if sees["executions"] else {}),
        **({"questions": waiting(now, most=MOST_QUESTIONS), **deciding(request)} if sees["approvals"] else {}),
        "urls": _urls(request),
    }


def _urls(request: HttpRequest) -> dict[str, str]:
    """Where the numbers lead; empty where this person may not go."""
    places = {
        "packs": "packs_pack_changelist",
        "flows": "flows_flow_changelist",
        "approvals": "packs_approval_changelist",
    }
    found = {name: address(view) if request.user.has_perm(BLOCKS[name]) else "" for name, view in places.items()}
    executions_url = address(LIST.removeprefix("admin:")) if request.user.has_perm(BLOCKS["executions"]) else ""
    return {
        **found,
        "executions": executions_url,
        "approvals": address("packs_approval_changelist"),
        "add_flow": _where_to_add(request),
    }


def _where_to_add(request: HttpRequest) -> str:
    return address("flows_flow_add") if request.user.has_perm("flows.add_flow") else ""


def _steps(request: HttpRequest, sees: Mapping[str, bool]) -> list[Any]:
    """The first steps where no flow ever ran; where they stand on the page, until it is loaded anew."""
    if not (sees["packs"] and sees["flows"] and sees["executions"]):
        return []
    return first_steps(base_url(request)) if request.GET.get("steps") or is_first_time() else []


def _packs(now: datetime) -> dict[str, int]:
    counts = {status: Count("pk", filter=of_status(status, now)) for status in STATUSES}
    return dict(Pack.objects.order_by().aggregate(**counts))


def _flows() -> dict[str, int]:
    counted = Flow.objects.order_by().aggregate(on=Count("pk", filter=Q(enabled=True)), all=Count("pk"))
    return {"on": counted["on"], "off": counted["all"] - counted["on"]}


def _queue() -> dict[str, Any]:
    """What waits and what is held, by pack name, what waits longest first; and the sums."""
    found, lost = loads(), orphaned()
    by_name = _lost_by_name(lost)
    shown = [ShownLoad(load, by_name.get(load.pack_name, 0), executions_of(load.pack_name)) for load in found]
    return {
        "rows": shown[:MOST_LOADS],
        "more": len(shown) - MOST_LOADS if len(shown) > MOST_LOADS else 0,
        "waiting": sum(load.waiting for load in found),
        "waiting_cut": any(load.cut for load in found),
        "waiting_since": _earliest(load.waiting_since for load in found),
        "held": sum(load.held for load in found),
        "held_since": _earliest(load.held_since for load in found),
        "lost": lost.count,
        "lost_cut": lost.bounded,
    }


def _lost_by_name(lost: Orphaned) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in lost.groups:
        counts[group.pack_name] = counts.get(group.pack_name, 0) + group.count
    return counts


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


def _ended(now: datetime) -> dict[str, Any]:
    """How executions ended by the hour, and those that failed last."""
    found = hours(now)
    totals = {kind: sum(getattr(hour, kind) for hour in found) for kind in hour_bars.KINDS}
    failed = executions(Wanted(state=ExecutionState.FAILED), Place(), now, MOST_FAILURES)
    return {
        "hours": found,
        "totals": totals,
        "totals_cut": any(hour.cut for hour in found),
        "chart": hour_bars.drawn(found) if any(totals.values()) else "",
        "failures": failed.rows,
    }
