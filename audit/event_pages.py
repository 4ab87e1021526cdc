"""The console's pages of events: what came, and why it did or did not start something."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET

from audit.execution_pages import address, around, must_have, page_links, place_in
from audit.filters import EventFilters
from audit.followers import followers
from audit.paging import LOOK_AT
from audit.search import events
from flows.models import Event, Flow
from flows.reasons import criteria_of, why
from flyte_site.ids import is_id
from flyte_site.masking import masked, masked_text

MAY_SEE = "flows.view_event"
PAYLOAD_BEGINS = 160


@dataclass(frozen=True)
class _Row:
    """An event in the list, and a word on what each flow made of it."""

    event: Event
    flows: list[dict[str, Any]]

    @property
    def payload(self) -> str:
        """Its beginning, masked; '' where there is none."""
        return "" if self.event.payload is None else masked_text(self.event.payload, PAYLOAD_BEGINS)


@require_GET
def event_list(request: HttpRequest) -> HttpResponse:
    """Events that flows listened to, each with what they made of it."""
    must_have(request, MAY_SEE)
    form = EventFilters(request.GET)
    found = events(form.wanted(), place_in(request))
    values = {
        "title": "Events",
        "form": form,
        "filtered": bool(form.asked()),
        "rows": [_Row(event, [_summary(flow) for flow in event.outcomes]) for event in found.rows],
        "links": page_links(request, found.place),
        "looked_to": found.place.looked_to,
        "looked_at": LOOK_AT,
        "flows_url": address("flows_flow_changelist"),
    }
    return TemplateResponse(request, "console/events.html", around(request, **values))


@require_GET
def event_page(request: HttpRequest, event_id: str) -> HttpResponse:
    """One event."""
    must_have(request, MAY_SEE)
    event = Event.objects.filter(id=event_id).first() if is_id(event_id) else None
    if event is None:
        raise Http404
    criteria = criteria_of(event.outcomes)
    hints = why(event)
    urls = _flow_urls(request, [flow["flow"] for flow in event.outcomes] + [hint.flow for hint in hints])
    values = {
        "title": f"{event.pack_name}.{event.name}",
        "event": event,
        "payload": masked(event.payload),
        "flows": [
            {**flow, **_summary(flow), "url": urls.get(flow["flow"], ""), "steps": _steps(flow, criteria)}
            for flow in event.outcomes
        ],
        "followers": followers(event) if event.correlation_id and not _own_outcome(event) else [],
        "hints": [(hint, urls.get(hint.flow, "")) for hint in hints],
    }
    return TemplateResponse(request, "console/event.html", around(request, **values))


def _flow_urls(request: HttpRequest, names: list[str]) -> dict[str, str]:
    """The flows' pages by name, of those that are there still; none for somebody who may not see flows."""
    if not request.user.has_perm("flows.view_flow"):
        return {}
    found = Flow.objects.filter(name__in=names).values_list("name", "pk")
    return {name: address("flows_flow_change", str(pk)) for name, pk in found}


def _steps(flow: Mapping[str, Any], criteria: Mapping[tuple[str, str], str]) -> list[dict[str, Any]]:
    return [{**step, "criteria": criteria.get((flow["uuid"], step["stepId"]), "")} for step in flow["steps"]]


def _own_outcome(event: Event) -> bool:
    """Whether the execution that the event is a result in has an outcome with it."""
    return any(flow.get("correlationId") == event.correlation_id for flow in event.outcomes)


def _summary(flow: dict[str, Any]) -> dict[str, Any]:
    """What a flow made of an event, in a word: the outcome that says most, `fired` before all others."""
    outcomes = [step["outcome"] for step in flow["steps"]]
    said = next((one for one in ("fired", "error", "criteria", "labels") if one in outcomes), "nothing")
    words = {"criteria": "criteria false", "labels": "labels mismatch"}
    return {"name": flow["flow"], "said": said, "words": words.get(said, said), "execution": flow.get("correlationId")}
