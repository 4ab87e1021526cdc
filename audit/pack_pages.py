"""The console's pages of packs: the list, one pack with its queue, and its deletion."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import structlog
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.approvals_shown import number_in
from audit.event_pages import MAY_SEE as MAY_SEE_EVENTS
from audit.execution_pages import MAY_SEE as MAY_SEE_EXECUTIONS
from audit.execution_pages import address, around, must_have
from audit.filters import PackFilters, executions_of
from audit.hosted_shown import STATE_WORDS, resource_page, shown_hosted
from audit.pack_list import Packs, packs
from audit.pack_shown import MOST_ACTIONS, Queue, commands, declared, helps, last_events, queue_of
from audit.users_of import uses
from flyte_site.changes import person
from packs import registry
from packs.models import HostedState, Pack
from packs.orphans import Orphans, orphaned

log = structlog.get_logger(__name__)

LIST = "admin:packs_pack_changelist"
MAY_SEE = "packs.view_pack"
MAY_SEE_ACTIONS = "packs.view_action"
MAY_DELETE = "packs.delete_pack"
MAY_SEE_FLOWS = "flows.view_flow"
MOST_ORPHANS = 10
MOST_RESOURCES = 10


@require_GET
def pack_list(request: HttpRequest) -> HttpResponse:
    """Packs, and above them what waits for packs that are not there."""
    must_have(request, MAY_SEE)
    form = PackFilters(request.GET)
    asked, sees_actions = form.asked(), request.user.has_perm(MAY_SEE_ACTIONS)
    before, after = (request.GET.get(name, "").replace("\x00", "") for name in ("before", "after"))
    found = packs(asked, before, after, timezone.now(), loads=sees_actions)
    lost = orphaned() if sees_actions else None
    values = {
        "title": "Packs",
        "form": form,
        "filtered": bool(asked),
        "rows": found.rows,
        "links": _page_links(request, found),
        "sees_actions": sees_actions,
        "lost": _with_queries(lost.groups[:MOST_ORPHANS]) if lost else [],
        "lost_more": len(lost.groups) - MOST_ORPHANS if lost and len(lost.groups) > MOST_ORPHANS else 0,
        "executions_url": _executions_url(request),
    }
    return TemplateResponse(request, "console/packs.html", around(request, **values))


@require_GET
def pack_page(request: HttpRequest, pk: str) -> HttpResponse:
    """One pack."""
    must_have(request, MAY_SEE)
    pack = _found(pk)
    sees_actions = request.user.has_perm(MAY_SEE_ACTIONS)
    queue = queue_of(pack) if sees_actions or request.user.has_perm(MAY_DELETE) else None
    values = {
        "title": pack.identity,
        "pack": pack,
        "labels": sorted(pack.labels.items()),
        "commands": commands(pack),
        "declared": declared(pack),
        "helps": helps(pack.links),
        "queue": queue if sees_actions else None,
        "executions_url": _executions_url(request),
        "executions_query": executions_of(pack.name),
        **(_flows_of(pack) if request.user.has_perm(MAY_SEE_FLOWS) else {}),
        "sees_events": request.user.has_perm(MAY_SEE_EVENTS),
        "events": last_events(pack) if request.user.has_perm(MAY_SEE_EVENTS) else [],
        "deletion": _deletion(queue) if queue and request.user.has_perm(MAY_DELETE) and not pack.hosted else "",
        **(_hosted(pack, sees_actions) if pack.hosted else {}),
        "history": _history(request, pack),
    }
    return TemplateResponse(request, "console/pack.html", around(request, **values))


@require_POST
def delete(request: HttpRequest, pk: str) -> HttpResponse:
    """Forget a pack."""
    must_have(request, MAY_DELETE)
    pack = _found(pk)
    if pack.hosted:
        messages.error(request, f"Not deleted: this server hosts {pack.identity}, as FLYTE_WEBAPI_PLUGINS says.")
        return HttpResponseRedirect(reverse("admin:packs_pack_change", args=[pk]))
    alone = queue_of(pack).alone
    if not registry.forget(pack.identity, person(request), orphaned=alone.count):
        raise Http404
    log.info("pack_deleted", pack=pack.identity)
    messages.success(request, f"The pack {pack.identity} is deleted. {_left(alone.count, alone.cut)}".strip())
    return HttpResponseRedirect(reverse(LIST) if request.user.has_perm(MAY_SEE) else reverse("admin:index"))


@require_GET
def pack_resources(request: HttpRequest, pk: str) -> HttpResponse:
    """All that a hosted pack has at its service, a page at a time."""
    must_have(request, MAY_SEE)
    must_have(request, MAY_SEE_ACTIONS)
    pack = _found(pk)
    state, after = request.GET.get("state", ""), number_in(request.GET, "after")
    found = resource_page(pack.identity, state, after)
    values = {
        "title": f"{pack.identity}: resources",
        "pack": pack,
        "state": state if state in HostedState.values else "",
        "states": STATE_WORDS.items(),
        "resources": found,
        "behind_others": after > 0,
        "executions_url": _executions_url(request),
    }
    return TemplateResponse(request, "console/pack_resources.html", around(request, **values))


def _hosted(pack: Pack, sees_actions: bool) -> dict[str, Any]:
    """Of a pack that this server hosts, what it has at its service and what bounds it."""
    found = resource_page(pack.identity, most=MOST_RESOURCES) if sees_actions else None
    return {"hosted": shown_hosted(pack.identity), "resources": found}


def _found(pk: str) -> Pack:
    pack = Pack.objects.filter(pk=pk).first() if pk.isascii() and pk.isdecimal() and len(pk) < 19 else None
    if pack is None:
        raise Http404
    return pack


def _deletion(queue: Queue) -> str:
    """What is told before somebody deletes a pack."""
    said = ["The server forgets it; a program that still runs is refused until it registers again."]
    if held := len(queue.held):
        said.append(f"{_actions(held, held == MOST_ACTIONS)} that it has in hand can give no result until then.")
    if queue.alone.count:
        said.append(_would_be(queue.alone.count, queue.alone.cut))
    else:
        said.append("No action would be orphaned.")
    return " ".join(said)


def _would_be(count: int, cut: bool) -> str:
    verb = "waits" if count == 1 else "wait"
    what = _actions(count, cut)
    return f"{what} {verb} that no other pack could take: orphaned, until a pack of this name and labels registers."


def _left(count: int, cut: bool) -> str:
    return f"{_actions(count, cut)} {'waits' if count == 1 else 'wait'} for a pack that is not there." if count else ""


def _actions(count: int, cut: bool) -> str:
    return f"{'At least ' if cut else ''}{count} action{'' if count == 1 else 's'}"


def _with_queries(groups: Iterable[Orphans]) -> list[dict[str, Any]]:
    return [
        {"group": one, "labels": sorted(one.labels.items()), "query": executions_of(one.pack_name, one.labels)}
        for one in groups
    ]


def _flows_of(pack: Pack) -> dict[str, Any]:
    found = uses(pack)
    rows = [{"use": use, "url": address("flows_flow_change", str(use.flow.pk))} for use in found.found]
    return {"sees_flows": True, "uses": rows, "more_uses": found.more}


def _executions_url(request: HttpRequest) -> str:
    return address("flows_execution_changelist") if request.user.has_perm(MAY_SEE_EXECUTIONS) else ""


def _history(request: HttpRequest, pack: Pack) -> str:
    if not request.user.has_perm("flyte_site.view_change"):
        return ""
    place = address("flyte_site_change_changelist")
    return f"{place}?{urlencode({'kind': 'pack', 'key': pack.identity})}" if place else ""


def _page_links(request: HttpRequest, found: Packs) -> dict[str, str]:
    """Addresses of the pages beside this one, with the filters that are set."""
    kept = [(name, value) for name, value in request.GET.items() if value and name not in ("before", "after")]
    beside = {"before": found.before, "after": found.after}
    return {name: "?" + urlencode([*kept, (name, value)]) for name, value in beside.items() if value}
