"""Diagnosis of a flow that did not run: its recent events with the outcome of each step, and near misses."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse

from flows.console.base import VIEW, VIEW_EVENT, flow_context, get_flow_or_404
from flows.definition import FlowValidationError, parse_flow
from flows.definition.checks.registry import find_registry_warnings
from flows.engine.diagnostics import explain_flow, find_false_criteria, find_near_misses
from flows.models import Flow
from flyte_site.console.pages import render_page, require_perm

MAX_EVENTS = 20


def diagnose_flow(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the outcomes of the flow's recent matching events."""
    require_perm(request, VIEW)
    require_perm(request, VIEW_EVENT)
    flow = get_flow_or_404(pk)
    outcomes = explain_flow(flow, MAX_EVENTS)
    criteria = find_false_criteria(flow_outcome.outcome for flow_outcome in outcomes)
    context = {
        **flow_context(request, flow, "why"),
        "outcomes": [
            {
                "event": flow_outcome.event,
                "outcome": flow_outcome.outcome,
                "steps": _build_step_rows(flow_outcome.outcome, criteria),
                "older": flow_outcome.outcome["uuid"] != flow.version_id,
            }
            for flow_outcome in outcomes
        ],
        "near_misses": find_near_misses(flow),
        "warnings": list(_iter_warnings(flow)),
        "subscriptions": list(flow.subscriptions.order_by("pack_name", "event_name")),
    }
    return render_page(request, "console/flow_why.html", flow.name, context)


def _build_step_rows(outcome: Any, criteria: dict[tuple[str, str], str]) -> list[dict[str, Any]]:
    """Return the steps' outcomes with the values their criteria read, and the text of false criteria at its first use.

    Texts already shown are removed from `criteria`.
    """
    return [
        {
            **step,
            "criteria": criteria.pop((outcome["uuid"], step["stepId"]), "") if step["outcome"] == "criteria" else "",
            "looked_up": list(step.get("saw", {}).items()),
        }
        for step in outcome["steps"]
    ]


def _iter_warnings(flow: Flow) -> Iterator[str]:
    try:
        definition = parse_flow(flow.version.document, is_stored=True)
    except FlowValidationError as error:
        yield f"its document violates rules that were added later: {error}"
        return
    yield from dict.fromkeys(issue.message for issue in find_registry_warnings(definition))
