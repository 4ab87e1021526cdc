"""The reading half of `/v1/audit`: executions, events and their outcomes."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit import action_documents, lookups, serializers
from audit.filter_warnings import find_filter_warnings
from audit.search.executions import (
    EventQuery,
    ExecutionMatches,
    ExecutionQuery,
    find_event_ids,
    find_executions,
    find_ids_of_events_with_outcome,
)
from audit.search.keyset_page import KeysetCursor, KeysetPage
from flows.models import Event, ExecutionState
from flyte_site.core.ids import is_id
from flyte_site.http.input.fields import problem_responses
from flyte_site.http.output.links import Link, LinkBuilder
from flyte_site.http.output.warning_header import format_warning_header
from flyte_site.http.problems import invalid_input, not_found
from flyte_site.http.views import APIView, get_integer_parameter, integer_parameter

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
# Skipped rows are read; to go further back, follow the `next` link.
MAX_START = 10_000

PAGE_PARAMETERS = [
    OpenApiParameter(
        "start",
        {"type": "integer", "minimum": 0, "maximum": MAX_START},
        description=f"Number of rows to skip, at most {MAX_START}; 0 starts at the newest.",
    ),
    integer_parameter("limit", f"Number of rows to return: {DEFAULT_LIMIT} by default, at most {MAX_LIMIT}."),
    OpenApiParameter("olderThan", description="Cursor of the page, from the `Link` header of the previous page."),
]
EXECUTION_FILTERS = [
    OpenApiParameter("flowName", description="Only executions of this flow."),
    OpenApiParameter("state", description=f"Only executions in this state: {', '.join(ExecutionState.values)}."),
    OpenApiParameter("stepId", description="Only executions with an action of this step."),
    OpenApiParameter("actionName", description="Only executions with an action of this command."),
    OpenApiParameter("actionPackName", description="Only executions with an action for packs of this name."),
    OpenApiParameter(
        "actionPackLabels", description="Only executions with an action for packs with these labels: `env:dev,zone:a`."
    ),
]
EVENT_FILTERS = [
    OpenApiParameter("packName", description="Only events from packs of this name."),
    OpenApiParameter("event", description="Only events of this name."),
    OpenApiParameter("flow", description="Only events with an outcome in this flow."),
]


class ExecutionListView(APIView):
    """Runs of flows."""

    @extend_schema(
        operation_id="findFlows",
        summary="List executions",
        tags=["flowAudit"],
        parameters=[*EXECUTION_FILTERS, *PAGE_PARAMETERS],
        responses={200: serializers.ExecutionList, **problem_responses(400)},
    )
    def get(self, request: Request) -> Response:
        """List executions, those with the newest action first."""
        _check_state(request)
        warnings = _format_filter_warnings(request, EXECUTION_FILTERS)
        parameters = _parse_page_parameters(request)
        matches = _find_executions(request, parameters)
        loaded = action_documents.load_page(matches.executions)
        actions, listed_executions = loaded.by_execution, matches.executions[: len(loaded.by_execution)]
        records = serializers.build_execution_records(listed_executions, actions)
        page = matches.cut(len(records))
        return self.respond(
            serializers.ExecutionList,
            {"flows": records, "links": _list_links(self.links, "flows", "#/flowExecs")},
            headers=_next_link_header(request, "flows", page, parameters) | warnings,
            orphan_ids=lookups.find_orphan_ids(actions),
            hosted=lookups.find_hosted_resources(actions),
            omitted_bytes=loaded.omitted_bytes,
        )


class ExecutionDetailView(APIView):
    """One run of a flow."""

    @extend_schema(
        operation_id="getFlowExecution",
        summary="Get an execution",
        tags=["flowAudit"],
        parameters=[OpenApiParameter("stepId", description="Only the action of this step, with larger documents.")],
        responses={200: serializers.ExecutionSchema, **problem_responses(404)},
    )
    def get(self, request: Request, correlation_id: str) -> Response:
        """Return the execution with its actions: their context, input, trigger and result. Beyond 8 MiB together,
        documents are left out; with `stepId`, beyond 40 MiB.
        """
        execution = lookups.find_execution(correlation_id)
        if execution is None:
            raise not_found(f"execution {correlation_id!r}")
        step_id = request.query_params.get("stepId", "")
        loaded = action_documents.load_execution(execution, step_id)
        actions = loaded.by_execution
        if step_id and not actions[execution.id]:
            raise not_found(f"an action of step {step_id!r} in execution {correlation_id!r}")
        return self.respond(
            serializers.ExecutionSchema,
            serializers.build_execution_records([execution], actions)[0],
            orphan_ids=lookups.find_orphan_ids(actions),
            hosted=lookups.find_hosted_resources(actions),
            omitted_bytes=loaded.omitted_bytes,
        )


class EventListView(APIView):
    """Received events."""

    @extend_schema(
        operation_id="findEvents",
        summary="List events",
        tags=["flowAudit"],
        parameters=[*EVENT_FILTERS, *PAGE_PARAMETERS],
        responses={200: serializers.EventList, **problem_responses(400)},
    )
    def get(self, request: Request) -> Response:
        """List the latest events, newest first, each with its outcome in every subscribed flow. If a step did not fire,
        the outcome has the reason.
        """
        parameters = _parse_page_parameters(request)
        listed_events, headers = _list_events(request, parameters)
        body = {"events": listed_events, "links": _list_links(self.links, "events", "#/flowAudit")}
        return self.respond(
            serializers.EventList, body, headers=headers | _format_filter_warnings(request, EVENT_FILTERS)
        )


class EventDetailView(APIView):
    """One event."""

    @extend_schema(
        operation_id="getEvent",
        summary="Get an event",
        tags=["flowAudit"],
        responses={200: serializers.EventOutcomesSchema, **problem_responses(404)},
    )
    def get(self, request: Request, event_id: str) -> Response:
        """Return the event with its outcome in every subscribed flow."""
        event = Event.objects.filter(id=event_id).first()
        if event is None:
            raise not_found(f"event {event_id!r}")
        return self.respond(serializers.EventOutcomesSchema, event)


@dataclass(frozen=True)
class PageParameters:
    """A part of a list: `limit` rows, after the newest `start` rows or from `cursor`."""

    start: int
    limit: int
    cursor: KeysetCursor


def _parse_page_parameters(request: Request) -> PageParameters:
    start = get_integer_parameter(request, "start", 0, maximum=MAX_START + 1)
    if start > MAX_START:
        message = f"must be at most {MAX_START}; to go further back, follow rel `next` of the `Link` header"
        raise invalid_input({"path": "start", "message": message})
    older_than = request.query_params.get("olderThan", "")
    if older_than and not is_id(older_than):
        raise invalid_input(
            {
                "path": "olderThan",
                "message": f"invalid cursor {older_than[:40]!r}: use the one in rel `next` of the `Link` header",
            }
        )
    return PageParameters(
        start, get_integer_parameter(request, "limit", DEFAULT_LIMIT, maximum=MAX_LIMIT), KeysetCursor(older_than)
    )


def _find_executions(request: Request, parameters: PageParameters) -> ExecutionMatches:
    if not parameters.limit:
        return ExecutionMatches([], [], KeysetPage([]))
    get_parameter = request.query_params.get
    query = ExecutionQuery(
        flow=get_parameter("flowName", ""),
        state=get_parameter("state", ""),
        step=get_parameter("stepId", ""),
        command=get_parameter("actionName", ""),
        pack=get_parameter("actionPackName", ""),
        labels=lookups.parse_labels(get_parameter("actionPackLabels", "")),
    )
    return find_executions(query, parameters.cursor, parameters.limit, parameters.start)


def _list_events(request: Request, parameters: PageParameters) -> tuple[list[Event], dict[str, str]]:
    """Return the events of a page, and the `Link` header to the next one."""
    if not parameters.limit:
        return [], {}
    query = EventQuery(request.query_params.get("packName", ""), request.query_params.get("event", ""))
    if flow := request.query_params.get("flow", ""):
        ids = find_ids_of_events_with_outcome(flow, query, parameters.limit, parameters.start)
        events = action_documents.load_events(ids)
        # These events have no cursor: a page that was full before its limit is continued by their number.
        is_cut = len(ids) > len(events) > 0 and ids[-1] != events[-1].id
        next_start = {"start": parameters.start + len(events), "limit": parameters.limit}
        return events, _build_link_header(request, "events", next_start) if is_cut else {}
    page = find_event_ids(query, parameters.cursor, parameters.start + parameters.limit)
    ids = page.keys[parameters.start :]
    events = action_documents.load_events(ids)
    if events and events[-1].id != ids[-1]:
        page = replace(page, older=KeysetCursor(older_than=events[-1].id))
    return events, _next_link_header(request, "events", page, parameters)


def _next_link_header(
    request: Request, collection: str, keyset_page: KeysetPage, parameters: PageParameters
) -> dict[str, str]:
    """Build the `Link` header to the next older page, if there may be one. The original's body has no such link."""
    if keyset_page.older is None:
        return {}
    rows_to_skip = parameters.start - len(keyset_page.keys)
    start_parameter = {"start": rows_to_skip} if rows_to_skip > 0 else {}
    position = {**start_parameter, "limit": parameters.limit, "olderThan": keyset_page.older.older_than}
    return _build_link_header(request, collection, position)


def _build_link_header(request: Request, collection: str, position: dict[str, Any]) -> dict[str, str]:
    """Build the `Link` header to the page at this position, with the filters of the request."""
    filters = {name: value for name, value in request.query_params.items() if name not in ("start", "olderThan")}
    query = urlencode({**filters, **position})
    return {"Link": f'<{LinkBuilder(request._request).href("v1", "audit", collection, query=query)}>; rel="next"'}


def _format_filter_warnings(request: Request, filters: list[OpenApiParameter]) -> dict[str, str]:
    """Build the header that names filters without effect, which are ignored as in the original server."""
    if not request.query_params:
        return {}
    known_names = [parameter.name for parameter in (*filters, *PAGE_PARAMETERS)]
    return format_warning_header(list(find_filter_warnings(request.query_params, known_names)))


def _check_state(request: Request) -> None:
    state = request.query_params.get("state", "")
    if state and state not in ExecutionState.values:
        message = f"must be one of {', '.join(ExecutionState.values)}, not {state[:40]!r}"
        raise invalid_input({"path": "state", "message": message})


def _list_links(links: LinkBuilder, collection: str, help_anchor: str) -> list[Link]:
    self_link = links.to("self", "v1", "audit", collection)
    return [self_link, links.to("up", "v1"), links.help(help_anchor)]
