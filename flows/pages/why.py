"""Why a flow did not run: its last events with what stopped each step, and events that it almost listened to."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse

from flows.document import FlowValidationError, parse_flow
from flows.models import Flow
from flows.pages.frame import VIEW, VIEW_EVENT, around_flow, find, need, show
from flows.reasons import almost_heard, criteria_of, why_flow
from flows.registered import registry_warnings

MOST_EVENTS = 20


def why(request: HttpRequest, pk: str) -> HttpResponse:
    """What the flow made of the last events that it listened to."""
    need(request, VIEW)
    need(request, VIEW_EVENT)
    flow = find(pk)
    outcomes = why_flow(flow, MOST_EVENTS)
    criteria = criteria_of(one.outcome for one in outcomes)
    context = {
        **around_flow(request, flow, "why"),
        "outcomes": [
            {
                "event": one.event,
                "outcome": one.outcome,
                "steps": _steps(one.outcome, criteria),
                "older": one.outcome["uuid"] != flow.version_id,
            }
            for one in outcomes
        ],
        "missed": almost_heard(flow),
        "warnings": list(_warnings(flow)),
        "listeners": list(flow.listeners.order_by("pack_name", "event_name")),
    }
    return show(request, "flow_why", flow.name, context)


def _steps(outcome: Any, criteria: dict[tuple[str, str], str]) -> list[dict[str, Any]]:
    """The steps' outcomes, with what criteria saw as pairs, and with their text where they are the first of `criteria`
    that were false: what is told is taken out of it."""
    return [
        {
            **step,
            "criteria": criteria.pop((outcome["uuid"], step["stepId"]), "") if step["outcome"] == "criteria" else "",
            "looked_up": list(step.get("saw", {}).items()),
        }
        for step in outcome["steps"]
    ]


def _warnings(flow: Flow) -> Iterator[str]:
    try:
        document = parse_flow(flow.version.document)
    except FlowValidationError as error:
        yield f"its document breaks rules that came later: {error}"
        return
    yield from dict.fromkeys(one.message for one in registry_warnings(document))
