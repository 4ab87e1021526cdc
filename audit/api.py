"""What ran, and why: the reading side of `/v1/audit`."""

from dataclasses import dataclass
from urllib.parse import urlencode

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit import queries, serializers
from audit.paging import Keys, Place
from audit.search import Wanted, WantedEvents, events, events_with, find
from flows.models import Event, Execution, ExecutionState
from flyte_site.ids import is_id
from flyte_site.rest.fields import problems
from flyte_site.rest.links import Link, Links
from flyte_site.rest.problems import bad_input, not_found
from flyte_site.rest.views import APIView, whole_number

LIMIT = 50
MAX_LIMIT = 500
# Rows that are passed over are read; whoever wants more of them goes on by the `next` link.
MAX_START = 10_000

PAGE_PARAMETERS = [
    OpenApiParameter(
        "start", OpenApiTypes.INT, description=f"Rows to pass over, {MAX_START} at most; 0 is the newest."
    ),
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"Rows to show: {LIMIT} by default, {MAX_LIMIT} at most."),
    OpenApiParameter("olderThan", description="Where the page begins: the header `Link` of the page before names it."),
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
        page = _page(request)
        found, keys = _executions(request, page)
        actions = queries.actions_of(found)
        orphans, hosted, links = queries.orphans(actions), queries.hosted(actions), self.links
        shown = [serializers.execution_detail(one, actions[one.id], links, orphans, hosted) for one in found]
        body = {"flows": shown, "links": _list_links(links, "flows", "#/flowExecs")}
        return Response(body, headers=_next(request, "flows", keys, page))


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
        page = _page(request)
        found, keys = _events(request, page)
        links = self.links
        shown = [serializers.event_detail(event, links) for event in found]
        body = {"events": shown, "links": _list_links(links, "events", "#/flowAudit")}
        return Response(body, headers=_next(request, "events", keys, page))


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


@dataclass(frozen=True)
class Page:
    """Which part of a list: `limit` rows, after `start` rows from its newest, or from `place`."""

    start: int
    limit: int
    place: Place


def _page(request: Request) -> Page:
    start = whole_number(request, "start", 0, most=MAX_START + 1)
    if start > MAX_START:
        message = f"must be at most {MAX_START}; the rel `next` in the header `Link` of an answer leads further back"
        raise bad_input({"path": "start", "message": message})
    older_than = request.query_params.get("olderThan", "")
    if older_than and not is_id(older_than):
        raise bad_input({"path": "olderThan", "message": "must be as the rel `next` in the header `Link` has it"})
    return Page(start, whole_number(request, "limit", LIMIT, most=MAX_LIMIT), Place(older_than))


def _executions(request: Request, page: Page) -> tuple[list[Execution], Keys]:
    if not page.limit:
        return [], Keys([])
    asked = request.query_params.get
    wanted = Wanted(
        flow=asked("flowName", ""),
        state=asked("state", ""),
        step=asked("stepId", ""),
        command=asked("actionName", ""),
        pack=asked("actionPackName", ""),
        labels=queries.labels_in(asked("actionPackLabels", "")),
    )
    found = find(wanted, page.place, page.limit, page.start)
    return found.executions, found.place


def _events(request: Request, page: Page) -> tuple[list[Event], Keys]:
    if not page.limit:
        return [], Keys([])
    wanted = WantedEvents(request.query_params.get("packName", ""), request.query_params.get("event", ""))
    if flow := request.query_params.get("flow", ""):
        return events_with(flow, wanted, page.limit, page.start), Keys([])
    found = events(wanted, page.place, page.limit, page.start)
    return found.rows, found.place


def _next(request: Request, collection: str, keys: Keys, page: Page) -> dict[str, str]:
    """The header by which older ones are found, where there may be any. In the body the original has no such link."""
    if keys.older is None:
        return {}
    kept = {name: value for name, value in request.query_params.items() if name not in ("start", "olderThan")}
    still = page.start - len(keys.keys)  # to be passed over
    here = {"start": still} if still > 0 else {}
    query = urlencode({**kept, **here, "limit": page.limit, "olderThan": keys.older.older_than})
    return {"Link": f'<{Links(request._request).href("v1", "audit", collection, query=query)}>; rel="next"'}


def _check_state(request: Request) -> None:
    state = request.query_params.get("state", "")
    if state and state not in ExecutionState.values:
        message = f"must be one of {', '.join(ExecutionState.values)}, not {state[:40]!r}"
        raise bad_input({"path": "state", "message": message})


def _list_links(links: Links, collection: str, help_anchor: str) -> list[Link]:
    own = links.to("self", "v1", "audit", collection)
    return [own, links.to("up", "v1"), links.help(help_anchor)]
