"""The console's pages of events: the list, and the reasons why an event did or did not start something."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from audit.search.executions import EventPage, find_events
from audit.search.keyset_page import MAX_SCANNED, KeysetPage
from audit.view_models.pending_steps import find_dependent_steps
from audit.views.executions import build_page_links, parse_cursor
from audit.views.filters import EventFilterForm
from flows.engine.diagnostics import explain_event, find_false_criteria
from flows.models import Event, Flow
from flyte_site.console.pages import console_url, render_page, require_perm
from flyte_site.core.ids import is_id
from flyte_site.core.secrets.redaction import preview_json, redact_keys

VIEW_PERMISSION = "flows.view_event"
PAYLOAD_PREVIEW_LENGTH = 160


@dataclass(frozen=True)
class _EventRow:
    """An event in the list, with a one-word outcome per flow."""

    event: Event
    flows: list[dict[str, Any]]

    @property
    def payload(self) -> str:
        """Return the beginning of the redacted payload; '' if the event has no payload."""
        return "" if self.event.payload is None else preview_json(self.event.payload, PAYLOAD_PREVIEW_LENGTH)


@require_GET
def event_list(request: HttpRequest) -> HttpResponse:
    """Show the stored events, each with its outcome by flow."""
    require_perm(request, VIEW_PERMISSION)
    form = EventFilterForm(request.GET)
    query = form.build_query()
    page = find_events(query, parse_cursor(request)) if form.is_valid() else EventPage([], KeysetPage([]))
    values = {
        "form": form,
        "filtered": form.is_filtered(),
        "rows": [_EventRow(event, [_summarize_outcome(flow) for flow in event.outcomes]) for event in page.rows],
        "links": build_page_links(request, page.keyset_page),
        "scanned_to": page.keyset_page.scanned_to,
        "scan_limit": MAX_SCANNED,
        "flows_url": console_url("flows_flow_changelist"),
    }
    return render_page(request, "console/events.html", "Events", values)


@require_GET
def event_page(request: HttpRequest, event_id: str) -> HttpResponse:
    """Show one event."""
    require_perm(request, VIEW_PERMISSION)
    event = Event.objects.filter(id=event_id).first() if is_id(event_id) else None
    if event is None:
        raise Http404
    criteria = find_false_criteria(event.outcomes)
    hints = explain_event(event)
    urls = _flow_urls(request, [flow["flow"] for flow in event.outcomes] + [hint.flow_name for hint in hints])
    values = {
        "event": event,
        "payload": redact_keys(event.payload),
        "flows": [
            {
                **flow,
                **_summarize_outcome(flow),
                "url": urls.get(flow["flow"], ""),
                "steps": _steps_with_criteria(flow, criteria),
            }
            for flow in event.outcomes
        ],
        "dependent_steps": find_dependent_steps(event) if event.correlation_id and not _has_own_outcome(event) else [],
        "hints": [(hint, urls.get(hint.flow_name, "")) for hint in hints],
    }
    return render_page(request, "console/event.html", f"{event.pack_name}.{event.name}", values)


def _flow_urls(request: HttpRequest, names: list[str]) -> dict[str, str]:
    """Map the names of existing flows to their pages; empty for people who may not view flows."""
    if not request.user.has_perm("flows.view_flow"):
        return {}
    flows = Flow.objects.filter(name__in=names).values_list("name", "pk")
    return {name: console_url("flows_flow_change", str(pk)) for name, pk in flows}


def _steps_with_criteria(flow: Mapping[str, Any], criteria: Mapping[tuple[str, str], str]) -> list[dict[str, Any]]:
    return [{**step, "criteria": criteria.get((flow["uuid"], step["stepId"]), "")} for step in flow["steps"]]


def _has_own_outcome(event: Event) -> bool:
    """Return True if the event has an outcome in the execution that it is a result of."""
    return any(flow.get("correlationId") == event.correlation_id for flow in event.outcomes)


def _summarize_outcome(flow: dict[str, Any]) -> dict[str, Any]:
    """Summarize the outcome in a flow in one word: the most significant outcome, `fired` before all others."""
    outcomes = [step["outcome"] for step in flow["steps"]]
    result = next((outcome for outcome in ("fired", "error", "criteria", "labels") if outcome in outcomes), "nothing")
    words = {"criteria": "criteria false", "labels": "labels mismatch"}
    return {
        "name": flow["flow"],
        "result": result,
        "words": words.get(result, result),
        "execution": flow.get("correlationId"),
    }
