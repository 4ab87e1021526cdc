"""The console's pages of packs: the list, one pack with its queue, and its deletion."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.view_models.hosted import STATE_LABELS, HostedResourcePage, build_hosted_detail, list_resource_rows
from audit.view_models.pack import (
    MAX_ACTIONS,
    PackQueue,
    build_help_links,
    build_pack_queue,
    find_last_events,
    list_commands,
    list_declared_events,
)
from audit.view_models.pack_list import PackPage, list_pack_rows
from audit.view_models.pack_usage import find_pack_usage
from audit.views.events import VIEW_PERMISSION as VIEW_EVENT_PERMISSION
from audit.views.executions import VIEW_PERMISSION as VIEW_EXECUTION_PERMISSION
from audit.views.filters import PackFilterForm, executions_query_string
from flyte_site.auth.activity_log import actor_of_user
from flyte_site.console.filter_forms import ChoiceFilter, FilterForm
from flyte_site.console.pages import console_url, parse_key, render_page, require_perm
from packs import registry
from packs.models import Pack
from packs.queue.backlog import QueueGroup, find_orphans

CHANGELIST_URL_NAME = "admin:packs_pack_changelist"
VIEW_PERMISSION = "packs.view_pack"
VIEW_ACTION_PERMISSION = "packs.view_action"
DELETE_PERMISSION = "packs.delete_pack"
VIEW_FLOW_PERMISSION = "flows.view_flow"
MAX_ORPHAN_GROUPS = 10
MAX_RESOURCES = 10


class ResourceFilterForm(FilterForm):
    """Filters of the resources of a hosted pack."""

    state = ChoiceFilter("Status", STATE_LABELS)


@require_GET
def pack_list(request: HttpRequest) -> HttpResponse:
    """Show packs, and above them the actions for missing packs."""
    require_perm(request, VIEW_PERMISSION)
    form = PackFilterForm(request.GET)
    filters, can_view_actions = form.active_filters(), request.user.has_perm(VIEW_ACTION_PERMISSION)
    before, after = (request.GET.get(name, "").replace("\x00", "") for name in ("before", "after"))
    page = (
        list_pack_rows(filters, before, after, timezone.now(), with_loads=can_view_actions)
        if form.is_valid()
        else PackPage([], "", "")
    )
    orphans = find_orphans() if can_view_actions else None
    values = {
        "form": form,
        "filtered": form.is_filtered(),
        "rows": page.rows,
        "links": _build_page_links(request, page),
        "sees_actions": can_view_actions,
        "orphans": _orphan_rows(orphans.groups[:MAX_ORPHAN_GROUPS]) if orphans else [],
        "more_orphans": len(orphans.groups) - MAX_ORPHAN_GROUPS
        if orphans and len(orphans.groups) > MAX_ORPHAN_GROUPS
        else 0,
        "executions_url": _executions_url(request),
    }
    return render_page(request, "console/packs.html", "Packs", values)


@require_GET
def pack_page(request: HttpRequest, pk: str) -> HttpResponse:
    """Show one pack."""
    require_perm(request, VIEW_PERMISSION)
    pack = _get_pack_or_404(pk)
    can_view_actions = request.user.has_perm(VIEW_ACTION_PERMISSION)
    queue = build_pack_queue(pack) if can_view_actions or request.user.has_perm(DELETE_PERMISSION) else None
    values = {
        "pack": pack,
        "labels": sorted(pack.labels.items()),
        "commands": list_commands(pack),
        "declared": list_declared_events(pack),
        "helps": build_help_links(pack.links),
        "queue": queue if can_view_actions else None,
        "executions_url": _executions_url(request),
        "executions_query": executions_query_string(pack.name),
        **(_usage_context(pack) if request.user.has_perm(VIEW_FLOW_PERMISSION) else {}),
        "sees_events": request.user.has_perm(VIEW_EVENT_PERMISSION),
        "events": find_last_events(pack) if request.user.has_perm(VIEW_EVENT_PERMISSION) else [],
        "deletion": _deletion_warning(queue)
        if queue and request.user.has_perm(DELETE_PERMISSION) and not pack.hosted
        else "",
        **(_hosted_context(pack, can_view_actions) if pack.hosted else {}),
        "history": _activity_log_url(request, pack),
    }
    return render_page(request, "console/pack.html", pack.identity, values)


@require_POST
def delete_pack(request: HttpRequest, pk: str) -> HttpResponse:
    """Delete a pack."""
    require_perm(request, DELETE_PERMISSION)
    pack = _get_pack_or_404(pk)
    if pack.hosted:
        messages.error(
            request, f"Not deleted: this server hosts {pack.identity}. To remove it, change FLYTE_WEBAPI_PLUGINS."
        )
        return HttpResponseRedirect(reverse("admin:packs_pack_change", args=[pk]))
    exclusive = build_pack_queue(pack).exclusive
    if not registry.unregister(pack.identity, actor_of_user(request), orphaned=exclusive.count):
        raise Http404
    messages.success(
        request,
        f"Pack {pack.identity} deleted. {_orphans_message(exclusive.count, exclusive.is_truncated)}".strip(),
    )
    return HttpResponseRedirect(
        reverse(CHANGELIST_URL_NAME) if request.user.has_perm(VIEW_PERMISSION) else reverse("admin:index")
    )


@require_GET
def pack_resources(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the resources of a hosted pack, a page at a time."""
    require_perm(request, VIEW_PERMISSION)
    require_perm(request, VIEW_ACTION_PERMISSION)
    pack = _get_pack_or_404(pk)
    form, after = ResourceFilterForm(request.GET), parse_key(request.GET.get("after", ""))
    state = form.active_filters().get("state", "")
    page = list_resource_rows(pack.identity, state, after) if form.is_valid() else HostedResourcePage([], 0)
    values = {
        "pack": pack,
        "form": form,
        "state": state,
        "states": STATE_LABELS.items(),
        "resources": page,
        "is_later_page": after > 0,
        "executions_url": _executions_url(request),
    }
    return render_page(request, "console/pack_resources.html", f"{pack.identity}: resources", values)


def _hosted_context(pack: Pack, can_view_actions: bool) -> dict[str, Any]:
    """Return the resources and limits of a hosted pack."""
    page = list_resource_rows(pack.identity, size=MAX_RESOURCES) if can_view_actions else None
    return {"hosted": build_hosted_detail(pack.identity), "resources": page}


def _get_pack_or_404(pk: str) -> Pack:
    pack = Pack.objects.filter(pk=parse_key(pk)).first()
    if pack is None:
        raise Http404
    return pack


def _deletion_warning(queue: PackQueue) -> str:
    """Return the warning that precedes the deletion of a pack."""
    sentences = ["A pack that is still running is rejected until it registers again."]
    if claimed_count := len(queue.claimed):
        sentences.append(
            f"{_count_text(claimed_count, claimed_count == MAX_ACTIONS)} that it has claimed cannot get a result "
            "until then."
        )
    if queue.exclusive.count:
        sentences.append(_orphans_warning(queue.exclusive.count, queue.exclusive.is_truncated))
    else:
        sentences.append("No action would be orphaned.")
    return " ".join(sentences)


def _orphans_warning(count: int, is_truncated: bool) -> str:
    verb = "becomes" if count == 1 else "become"
    subject = _count_text(count, is_truncated)
    return f"{subject} {verb} orphaned until a pack with this name and these labels registers."


def _orphans_message(count: int, is_truncated: bool) -> str:
    return f"{_count_text(count, is_truncated)} {'is' if count == 1 else 'are'} now orphaned." if count else ""


def _count_text(count: int, is_truncated: bool) -> str:
    return f"{'At least ' if is_truncated else ''}{count} action{'' if count == 1 else 's'}"


def _orphan_rows(groups: Iterable[QueueGroup]) -> list[dict[str, Any]]:
    return [
        {
            "group": group,
            "labels": sorted(group.labels.items()),
            "query": executions_query_string(group.pack_name, group.labels),
        }
        for group in groups
    ]


def _usage_context(pack: Pack) -> dict[str, Any]:
    usage = find_pack_usage(pack)
    rows = [
        {"use": flow_usage, "url": console_url("flows_flow_change", str(flow_usage.flow.pk))}
        for flow_usage in usage.flows
    ]
    return {"sees_flows": True, "uses": rows, "more_uses": usage.is_truncated}


def _executions_url(request: HttpRequest) -> str:
    return console_url("flows_execution_changelist") if request.user.has_perm(VIEW_EXECUTION_PERMISSION) else ""


def _activity_log_url(request: HttpRequest, pack: Pack) -> str:
    if not request.user.has_perm("flyte_site.view_change"):
        return ""
    url = console_url("flyte_site_change_changelist")
    return f"{url}?{urlencode({'kind': 'pack', 'key': pack.identity})}" if url else ""


def _build_page_links(request: HttpRequest, page: PackPage) -> dict[str, str]:
    """Build the addresses of the adjacent pages, with the current filters."""
    kept_parameters = [
        (name, value) for name, value in request.GET.items() if value and name not in ("before", "after")
    ]
    neighbors = {"before": page.before, "after": page.after}
    return {name: "?" + urlencode([*kept_parameters, (name, value)]) for name, value in neighbors.items() if value}
