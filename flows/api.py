"""Flows over REST, and the two doors for what happens: events, and results of actions."""

import json
from typing import Any

import structlog
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flows import engine, saving, serializers
from flows.document import TEXT_PLACES, Finding, FlowError, parse
from flows.models import Flow
from flows.steps import Event, PackSeen
from flyte_site.rest.bodies import media_type, read_document, read_text
from flyte_site.rest.fields import ProblemSerializer
from flyte_site.rest.media import empty
from flyte_site.rest.problems import InputError, Problem, bad_input, not_found
from flyte_site.rest.views import APIView, by_name, listing
from packs import registry
from packs.models import Pack
from packs.queue import Finish

log = structlog.get_logger(__name__)

WARNING_HEADER = "X-Flyte-Warning"
# A proxy in front may take no more than 4 KiB for all headers of an answer.
MAX_WARNING_LENGTH = 1500


class FlowListView(APIView):
    """All flows, and the door for new ones."""

    @extend_schema(
        operation_id="listFlows", tags=["flow"], parameters=[OpenApiParameter("after")], responses=serializers.FlowList
    )
    def get(self, request: Request) -> Response:
        """The flows in the order of their names."""
        flows = by_name(Flow.objects.all(), "name", request)
        page, links = listing(flows, "name", self.links, "flows", "#/flow")
        return Response({"flows": [serializers.summary(flow, self.links) for flow in page], "links": links})

    @extend_schema(
        operation_id="addFlow",
        tags=["flow"],
        request=serializers.FlowInput,
        responses={201: None, 400: ProblemSerializer},
    )
    def post(self, request: Request) -> Any:
        """Save a flow under its name; the one before becomes an older version.

        Whatever is wrong with it is told at once, each error with its path. What may be a mistake, such as a pack that
        is not registered yet, does not keep it from being saved: it stands in the header `X-Flyte-Warning`.
        """
        value = read_document(request, TEXT_PLACES)
        try:
            document = parse(value)
        except FlowError as error:
            raise bad_input(*map(input_error, error.errors)) from None
        flow = saving.save(document, source=read_text(request)[0], media_type=media_type(request)[0][:40])
        warnings = [*document.warnings, *saving.registry_warnings(document)]
        log.info("flow_saved", flow=flow.name, version=flow.version_id, warnings=len(warnings))
        headers = {"Location": self.links.href("v1", "flows", flow.name)}
        return empty(201, headers | warning_header(warnings))


class FlowView(APIView):
    """One flow."""

    @extend_schema(
        operation_id="getFlow", tags=["flow"], responses={200: serializers.FlowOutput, 404: ProblemSerializer}
    )
    def get(self, request: Request, name: str) -> Response:
        """The flow's document as it runs now."""
        flow = Flow.objects.select_related("version").filter(name=name).first()
        if flow is None:
            raise not_found(f"flow {name!r}")
        return Response(serializers.detail(flow, self.links))

    @extend_schema(operation_id="deleteFlow", tags=["flow"], responses={204: None, 404: ProblemSerializer})
    def delete(self, request: Request, name: str) -> Any:
        """Delete the flow: it starts nothing any more, and what runs goes on."""
        if not saving.delete(name):
            raise not_found(f"flow {name!r}")
        log.info("flow_deleted", flow=name)
        return empty(204)


class EventView(APIView):
    """Where packs tell what happened."""

    @extend_schema(
        operation_id="event",
        tags=["event"],
        request=serializers.EventInput,
        responses={202: None, 400: ProblemSerializer, 404: ProblemSerializer},
    )
    def post(self, request: Request, pack_id: str) -> Any:
        """Take an event. 202 means that all it causes is kept."""
        pack = registry.seen(pack_id)
        engine.handle_event(read_event(request, pack))
        return empty(202)


class ResultView(APIView):
    """Where packs give the result of an action they took."""

    @extend_schema(
        operation_id="actionResult",
        tags=["action"],
        request=serializers.EventInput,
        responses={202: None, 400: ProblemSerializer, 404: ProblemSerializer, 409: ProblemSerializer},
    )
    def post(self, request: Request, pack_id: str, action_id: str) -> Any:
        """Take a result, which is an event again: `FATAL` if the command failed beyond what its events can say.

        The same result again is fine; another one for a finished action is refused with 409.
        """
        pack = registry.seen(pack_id)
        finish = engine.complete(action_id, pack, read_event(request, pack))
        if finish is None:
            raise not_found(f"action {action_id!r}")
        if finish is Finish.REFUSED:
            raise Problem(409, "no result of this pack is expected: the action is not its to finish, or is finished")
        return empty(202)


def read_event(request: Request, pack: Pack) -> Event:
    """The event in the body, as of this pack: who sent it is what the path says, never the body."""
    now = timezone.now()
    values = serializers.EventInput().valid(read_document(request, serializers.EVENT_TEXT_PLACES))
    return Event(
        pack=PackSeen(pack.identity, pack.name, pack.labels),
        name=values["event"],
        payload=values["payload"],
        created_at=values["createdAt"] or now,
        received_at=now,
    )


def input_error(finding: Finding) -> InputError:
    """An error in a flow document in the shape of the API's errors."""
    error: InputError = {"path": finding.path, "message": finding.message}
    if finding.line:
        error |= {"line": finding.line, "column": finding.column}
    return error


def warning_header(warnings: list[Finding]) -> dict[str, str]:
    """The warnings as one header in ASCII, e.g. `steps[0].event.packName: no pack 'Slack' is registered; …`."""
    if not warnings:
        return {}
    told: list[str] = []
    for warning in warnings:
        text = json.dumps(f"{warning.path}: {warning.message}")[1:-1].replace('\\"', '"')[:MAX_WARNING_LENGTH]
        if told and len("; ".join([*told, text])) > MAX_WARNING_LENGTH:
            return {WARNING_HEADER: "; ".join([*told, f"and {len(warnings) - len(told)} more"])}
        told.append(text)
    return {WARNING_HEADER: "; ".join(told)}
