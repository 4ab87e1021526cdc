"""The console's home page: the server's status and, on a new server, the steps to a first flow."""

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

from audit.charts import hourly_chart
from audit.search.executions import ExecutionQuery, list_execution_rows
from audit.search.keyset_page import KeysetCursor
from audit.stats import PackLoad, count_ended_by_hour, measure_pack_loads
from audit.view_models.approvals import list_open_approval_rows
from audit.view_models.onboarding import build_onboarding_steps, is_new_server
from audit.views.approvals import decision_context
from audit.views.executions import CHANGELIST_URL_NAME
from audit.views.filters import executions_query_string
from flows.models import ExecutionState, Flow
from flyte_site.console.pages import console_url, render_page
from flyte_site.http.output.links import get_base_url
from packs.approvals.permissions import VIEW_PERMISSION as VIEW_APPROVAL_PERMISSION
from packs.models import STATUSES, Pack, status_filter
from packs.queue.backlog import OrphanReport, find_orphans

MAX_LOADS = 10
MAX_FAILURES = 8
MAX_APPROVALS = 5
BLOCK_PERMISSIONS = {
    "packs": "packs.view_pack",
    "actions": "packs.view_action",
    "flows": "flows.view_flow",
    "executions": "flows.view_execution",
    "approvals": VIEW_APPROVAL_PERMISSION,
}


@dataclass(frozen=True)
class PackLoadRow:
    """The load of packs with one name; `orphaned` actions among it; `query_string` finds its executions."""

    load: PackLoad
    orphaned: int
    query_string: str


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the home page."""
    return render_page(request, "admin/index.html", "Home", _home_context(request))


@require_GET
def home_fragment(request: HttpRequest) -> HttpResponse:
    """Show the part of the home page that updates itself. `steps`: the page shows the onboarding steps."""
    return TemplateResponse(request, "console/home_now.html", _home_context(request))


def _home_context(request: HttpRequest) -> dict[str, Any]:
    """Return the blocks that this person may view, by name; `sees` lists them."""
    now = timezone.now()
    visible = {name: request.user.has_perm(permission) for name, permission in BLOCK_PERMISSIONS.items()}
    return {
        "sees": visible,
        "any_block": any(visible.values()),
        "steps": _onboarding_steps(request, visible),
        "asks_for_tokens": settings.FLYTE_AUTH != "none",
        "packs": _count_packs_by_status(now) if visible["packs"] else {},
        "queue": _queue_context() if visible["actions"] else {},
        "flows": _count_flows() if visible["flows"] else {},
        **(_ended_context(now) if visible["executions"] else {}),
        **(
            {"questions": list_open_approval_rows(now, size=MAX_APPROVALS), **decision_context(request)}
            if visible["approvals"]
            else {}
        ),
        "urls": _urls(request),
    }


def _urls(request: HttpRequest) -> dict[str, str]:
    """Return the pages behind the figures; empty for pages that this person may not view."""
    url_names = {
        "packs": "packs_pack_changelist",
        "flows": "flows_flow_changelist",
        "approvals": "packs_approval_changelist",
    }
    urls = {
        name: console_url(view) if request.user.has_perm(BLOCK_PERMISSIONS[name]) else ""
        for name, view in url_names.items()
    }
    executions_url = (
        console_url(CHANGELIST_URL_NAME.removeprefix("admin:"))
        if request.user.has_perm(BLOCK_PERMISSIONS["executions"])
        else ""
    )
    return {
        **urls,
        "executions": executions_url,
        "approvals": console_url("packs_approval_changelist"),
        "add_flow": _add_flow_url(request),
    }


def _add_flow_url(request: HttpRequest) -> str:
    return console_url("flows_flow_add") if request.user.has_perm("flows.add_flow") else ""


def _onboarding_steps(request: HttpRequest, visible: Mapping[str, bool]) -> list[Any]:
    """Return the onboarding steps if no flow ever ran; a page that shows them keeps them until it is reloaded."""
    if not (visible["packs"] and visible["flows"] and visible["executions"]):
        return []
    return build_onboarding_steps(get_base_url(request)) if request.GET.get("steps") or is_new_server() else []


def _count_packs_by_status(now: datetime) -> dict[str, int]:
    """Count packs by status, and under `hosted` the live packs that the server hosts."""
    counts = {status: Count("pk", filter=status_filter(status, now)) for status in STATUSES}
    hosted = Count("pk", filter=status_filter("live", now) & Q(hosted=True))
    return dict(Pack.objects.order_by().aggregate(**counts, hosted=hosted))


def _count_flows() -> dict[str, int]:
    counts = Flow.objects.order_by().aggregate(on=Count("pk", filter=Q(enabled=True)), all=Count("pk"))
    return {"on": counts["on"], "off": counts["all"] - counts["on"]}


def _queue_context() -> dict[str, Any]:
    """Return queued and claimed actions by pack name, the longest-queued first, with totals."""
    pack_loads, orphans = measure_pack_loads(), find_orphans()
    orphans_by_name = _count_orphans_by_name(orphans)
    rows = [
        PackLoadRow(load, orphans_by_name.get(load.pack_name, 0), executions_query_string(load.pack_name))
        for load in pack_loads
    ]
    return {
        "rows": rows[:MAX_LOADS],
        "more": len(rows) - MAX_LOADS if len(rows) > MAX_LOADS else 0,
        "waiting": sum(load.queued for load in pack_loads),
        "waiting_cut": any(load.is_truncated for load in pack_loads),
        "waiting_since": _earliest(load.queued_since for load in pack_loads),
        "held": sum(load.claimed for load in pack_loads),
        "held_since": _earliest(load.claimed_since for load in pack_loads),
        "orphaned": orphans.count,
        "orphaned_cut": orphans.is_lower_bound,
    }


def _count_orphans_by_name(orphans: OrphanReport) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in orphans.groups:
        counts[group.pack_name] = counts.get(group.pack_name, 0) + group.count
    return counts


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment), default=None)


def _ended_context(now: datetime) -> dict[str, Any]:
    """Return ended executions by hour, and the latest failures."""
    hour_stats = count_ended_by_hour(now)
    totals = {outcome: sum(getattr(hour, outcome) for hour in hour_stats) for outcome in hourly_chart.OUTCOMES}
    failed = list_execution_rows(ExecutionQuery(state=ExecutionState.FAILED), KeysetCursor(), now, MAX_FAILURES)
    return {
        "hours": hour_stats,
        "totals": totals,
        "totals_cut": any(hour.is_truncated for hour in hour_stats),
        "chart": hourly_chart.render_hourly_chart(hour_stats) if any(totals.values()) else "",
        "failures": failed.rows,
    }
