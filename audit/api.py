"""What ran, and why: the reading side of `/v1/audit`."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit import queries, serializers
from flows.models import Event, ExecutionState
from flyte_site.rest.fields import problems
from flyte_site.rest.links import Link, Links
from flyte_site.rest.problems import bad_input, not_found
from flyte_site.rest.views import APIView, whole_number

LIMIT = 50
MAX_LIMIT = 500
MAX_START = 10**9

PAGE_PARAMETERS = [
    OpenApiParameter("start", OpenApiTypes.INT, description="Rows to pass over; 0 is the newest."),
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"Rows to show: {LIMIT} by default, {MAX_LIMIT} at most."),
]
EXECUTION_FILTERS = [
    OpenApiParameter(name)
    for name in ("flowName", "state", "stepId", "actionName", "actionPackName", "actionPackLabels")
]
EVENT_FILTERS = [OpenApiParameter(name) for name in ("packName", "event", "flow")]


class ExecutionListView(APIView):
    """Runs of flows."""

    @extend_schema(
        operation_id="findFlows",
        tags=["flowAudit"],
        parameters=[*EXECUTION_FILTERS, *PAGE_PARAMETERS],
        responses={200: serializers.ExecutionList, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Executions, those that were active last first."""
        _check_state(request)
        found = queries.executions(request.query_params, _page(request))
        actions = queries.actions_of(found)
        orphans, hosted, links = queries.orphans(actions), queries.hosted(actions), self.links
        shown = [serializers.execution_detail(one, actions[one.id], links, orphans, hosted) for one in found]
        return Response({"flows": shown, "links": _list_links(links, "flows", "#/flowExecs")})


class ExecutionView(APIView):
    """One run of a flow."""

    @extend_schema(
        operation_id="getFlowExecution",
        tags=["flowAudit"],
        responses={200: serializers.ExecutionSchema, **problems(404)},
    )
    def get(self, request: Request, correlation_id: str) -> Response:
        """The execution with its actions: their context, input, trigger and result."""
        execution = queries.execution(correlation_id)
        if execution is None:
            raise not_found(f"execution {correlation_id!r}")
        actions = queries.actions_of([execution])
        orphans, hosted = queries.orphans(actions), queries.hosted(actions)
        shown = serializers.execution_detail(execution, actions[execution.id], self.links, orphans, hosted)
        return Response(shown)


class EventListView(APIView):
    """Events that came."""

    @extend_schema(
        operation_id="findEvents",
        tags=["flowAudit"],
        parameters=[*EVENT_FILTERS, *PAGE_PARAMETERS],
        responses={200: serializers.EventList, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """The last events, newest first, each with what every listening flow made of it and what stopped a step."""
        found = queries.events(request.query_params, _page(request))
        links = self.links
        shown = [serializers.event_detail(event, links) for event in found]
        return Response({"events": shown, "links": _list_links(links, "events", "#/flowAudit")})


class EventView(APIView):
    """One event."""

    @extend_schema(
        operation_id="getEvent",
        tags=["flowAudit"],
        responses={200: serializers.EventOutcomesSchema, **problems(404)},
    )
    def get(self, request: Request, event_id: str) -> Response:
        """The event with what every listening flow made of it."""
        event = Event.objects.filter(id=event_id).first()
        if event is None:
            raise not_found(f"event {event_id!r}")
        return Response(serializers.event_detail(event, self.links))


def _page(request: Request) -> queries.Page:
    return queries.Page(
        start=whole_number(request, "start", 0, most=MAX_START),
        limit=whole_number(request, "limit", LIMIT, most=MAX_LIMIT),
    )


def _check_state(request: Request) -> None:
    state = request.query_params.get("state", "")
    if state and state not in ExecutionState.values:
        message = f"must be one of {', '.join(ExecutionState.values)}, not {state[:40]!r}"
        raise bad_input({"path": "state", "message": message})


def _list_links(links: Links, collection: str, help_anchor: str) -> list[Link]:
    own = links.to("self", "v1", "audit", collection)
    return [own, links.to("up", "v1"), links.help(help_anchor)]
