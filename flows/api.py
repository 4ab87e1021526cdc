"""Flows over REST, and the two doors for what happens: events, and results of actions."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import structlog
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flows import control, engine, saving, serializers, trying
from flows.document import FLOW_TEXT_FIELDS, FlowDefinition, FlowIssue, FlowValidationError, parse_flow
from flows.models import MAX_NOTE, Flow
from flows.proposal import as_file, propose
from flows.registered import registry_warnings
from flows.steps import Event, PackSeen
from flows.version_api import etag
from flyte_site.changes import caller, record
from flyte_site.meters import timed_intake
from flyte_site.rest.bodies import media_type, read_document, read_text
from flyte_site.rest.fields import problems
from flyte_site.rest.media import empty
from flyte_site.rest.problems import InputError, Problem, bad_input, not_found
from flyte_site.rest.views import APIView, PlainView, by_name, listing, whole_number
from packs import queue, registry
from packs.models import Action, Pack
from packs.queue import Finish

log = structlog.get_logger(__name__)

WARNING_HEADER = "X-Flyte-Warning"
KEY_HEADER, KEY_META = "Idempotency-Key", "HTTP_IDEMPOTENCY_KEY"
MAX_KEY = 255
MAX_ATTEMPT = 30_000
ATTEMPT_PARAMETER = OpenApiParameter("attempt", OpenApiTypes.INT, description="As the action's result link has it.")
TRIED = PolymorphicProxySerializer(
    component_name="Tried",
    serializers=[serializers.DryRunSchema, serializers.ProposalSchema],
    resource_type_field_name=None,
)
CHECK = OpenApiParameter("check", enum=["true"], description="The body is a flow; what saving it would change.")
AS_TEXT = OpenApiParameter("text", enum=["true"], description="The flow as it was written, as text, without links.")
NOTE = OpenApiParameter("note", description="What the change is for; stands with the version.")
IF_MATCH = OpenApiParameter("If-Match", location="header", description="The ETag that the flow was read with.")
IF_NONE_MATCH = OpenApiParameter("If-None-Match", location="header", description="`*`: only if there is no such flow.")
KEY_PARAMETER = OpenApiParameter(
    KEY_HEADER, location="header", description=f"A name of the event's own, up to {MAX_KEY} characters: it counts once."
)
# Made once: its fields are copied each time that one is made.
EVENT_INPUT = serializers.EventInput()
CONTROL_ANSWERS: dict[Any, Any] = {204: None, **problems(404, 409)}
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
        parameters=[NOTE, IF_MATCH, IF_NONE_MATCH],
        responses={201: None, **problems(400, 412)},
    )
    def post(self, request: Request) -> Any:
        """Save a flow under its name; the one before becomes an older version.

        Whatever is wrong with it is told at once, each error with its path. What may be a mistake, such as a pack that
        is not registered yet, does not keep it from being saved: it stands in the header `X-Flyte-Warning`.
        With `If-Match` and the `ETag` that the flow was read with, it is only saved if nobody has changed it since.
        """
        value = read_document(request, FLOW_TEXT_FIELDS, unique_keys=True)
        try:
            document = parse_flow(value)
        except FlowValidationError as error:
            raise bad_input(*map(input_error, error.errors)) from None
        flow = save(request, document)
        warnings = [*document.warnings, *registry_warnings(document)]
        if not flow.enabled:
            message = "the flow is disabled and starts nothing; post it with enabled: true to change that"
            warnings.insert(0, FlowIssue("enabled", message))
        log.info("flow_saved", flow=flow.name, version=flow.version_id, warnings=len(warnings))
        headers = {"Location": self.links.href("v1", "flows", flow.name), "ETag": etag(flow.version_id)}
        return empty(201, headers | warning_header(warnings))


class FlowView(APIView):
    """One flow."""

    @extend_schema(
        operation_id="getFlow",
        tags=["flow"],
        parameters=[AS_TEXT],
        responses={200: serializers.FlowOutput, (200, "text/plain"): OpenApiTypes.STR, **problems(404)},
    )
    def get(self, request: Request, name: str) -> Any:
        """The flow's document as it runs now; with `text=true` as a text to keep in a file, comments and all."""
        flow = Flow.objects.select_related("version").filter(name=name).first()
        if flow is None:
            raise not_found(f"flow {name!r}")
        if request.query_params.get("text") == "true":
            headers = {"ETag": etag(flow.version_id)}
            return HttpResponse(as_file(flow), content_type="text/plain; charset=utf-8", headers=headers)
        return Response(serializers.detail(flow, self.links), headers={"ETag": etag(flow.version_id)})

    @extend_schema(operation_id="deleteFlow", tags=["flow"], responses={204: None, **problems(404)})
    def delete(self, request: Request, name: str) -> Any:
        """Delete the flow: it starts nothing any more, and what runs goes on."""
        with transaction.atomic():
            if not saving.delete(name):
                raise not_found(f"flow {name!r}")
            record(caller(request), "deleted", "flow", name)
        log.info("flow_deleted", flow=name)
        return empty(204)


@extend_schema(methods=["GET", "DELETE"], exclude=True)
class DryRunView(FlowView):
    """Where a flow is tried. A flow may have the name `dry-run`: GET and DELETE are about that one."""

    name = "dry-run"

    def get(self, request: Request, name: str = name) -> Any:
        """The flow of this name."""
        return super().get(request, name)

    def delete(self, request: Request, name: str = name) -> Any:
        """Delete the flow of this name."""
        return super().delete(request, name)

    @extend_schema(
        operation_id="tryFlow",
        tags=["flow"],
        request=trying.TryInput,
        parameters=[CHECK],
        responses={200: TRIED, **problems(400, 404)},
    )
    def post(self, request: Request) -> Response:
        """What a flow would do with an event, and with pretended results: nothing is queued or written.

        With `check=true` the body is the flow itself, and the answer what saving it would change, as a diff, and all
        warnings; each finding has its line and column in the text that was sent.
        """
        if request.query_params.get("check") == "true":
            return checked(read_text(request)[0])
        return Response(trying.try_flow(read_document(request, trying.TRY_TEXT_PLACES, unique_keys=True)))


class EventView(PlainView):
    """Where packs tell what happened."""

    @extend_schema(
        operation_id="event",
        tags=["event"],
        request=serializers.EventInput,
        parameters=[KEY_PARAMETER],
        responses={202: None, **problems(400, 404, 422)},
    )
    def post(self, request: HttpRequest, pack_id: str) -> HttpResponse:
        """Take an event. 202 means that all it causes is kept."""
        pack = registry.acting(pack_id, request)
        event = read_event(request, pack)
        try:
            with timed_intake("event"):
                engine.handle_event(event, idempotency(request))
        except engine.OtherEventError:
            raise Problem(422, f"the {KEY_HEADER} was sent with another event before") from None
        return empty(202)


class ResultView(PlainView):
    """Where packs give the result of an action they took."""

    @extend_schema(
        operation_id="actionResult",
        tags=["action"],
        request=serializers.EventInput,
        parameters=[ATTEMPT_PARAMETER],
        responses={202: None, **problems(400, 404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str, action_id: str) -> HttpResponse:
        """Take a result, which is an event again: `FATAL` if the command failed beyond what its events can say.

        The same result again is fine; another one, or one of an attempt that is over, is refused with 409.
        """
        pack = registry.acting(pack_id, request)
        event, attempt = read_event(request, pack), attempt_of(request)
        with timed_intake("result"):
            finish = engine.complete(action_id, pack, event, attempt)
        if finish is None:
            raise not_found(f"action {action_id!r}")
        if finish is Finish.REFUSED:
            raise Problem(409, refusal(action_id, pack))
        return empty(202)


class HeartbeatView(PlainView):
    """Where packs say that they are still at it."""

    @extend_schema(
        operation_id="extendAction",
        tags=["action"],
        request=None,
        parameters=[ATTEMPT_PARAMETER],
        responses={204: None, **problems(404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str, action_id: str) -> HttpResponse:
        """Begin the time for an action anew. 409 when it is no longer this pack's: then its work is for nothing."""
        pack = registry.acting(pack_id, request)
        if queue.extend(action_id, pack, attempt_of(request)):
            return empty(204)
        if not Action.objects.filter(id=action_id).exists():
            raise not_found(f"action {action_id!r}")
        raise Problem(409, "the action is no longer this pack's")


class ControlView(APIView):
    """What all views have that change what runs."""

    def done(self, what: str, correlation_id: str, do: Callable[[], None], **detail: Any) -> HttpResponse:
        """204 when it is done, and recorded as `what`; 404 and 409 when it can't be."""
        try:
            with transaction.atomic():
                do()
                record(caller(self.request), what, "execution", correlation_id, **detail)
        except control.UnknownError as unknown:
            raise not_found(str(unknown)) from None
        except control.NotPossibleError as reason:
            raise Problem(409, str(reason)) from None
        return empty(204)


class CancelView(ControlView):
    """Stops an execution."""

    @extend_schema(operation_id="cancelExecution", tags=["flowAudit"], request=None, responses=CONTROL_ANSWERS)
    def post(self, request: Request, correlation_id: str) -> Any:
        """Cancel: what waits is not given to anybody any more, results of what is under way come too late."""
        return self.done("cancelled", correlation_id, lambda: control.cancel(correlation_id))


class RetryView(ControlView):
    """Runs a failed step again."""

    @extend_schema(operation_id="retryStep", tags=["flowAudit"], request=None, responses=CONTROL_ANSWERS)
    def post(self, request: Request, correlation_id: str, step_id: str) -> Any:
        """Let a step's action that ended FATAL be taken again, with the same input."""
        return self.done("retried", correlation_id, lambda: control.retry(correlation_id, step_id), step=step_id)


class ReplayView(APIView):
    """Runs a flow again."""

    @extend_schema(
        operation_id="replayEvent",
        tags=["flowAudit"],
        request=None,
        parameters=[OpenApiParameter("flows", enum=["own", "all"], description="Who hears of the event again.")],
        responses={202: serializers.Replayed, **problems(404, 409)},
    )
    def post(self, request: Request, correlation_id: str) -> Response:
        """Take the event that began an execution again, on the flow as it is now (`flows=all`: on every flow)."""
        try:
            begun = control.replay(correlation_id, every_flow=request.query_params.get("flows") == "all")
        except control.UnknownError as unknown:
            raise not_found(str(unknown)) from None
        except control.NotPossibleError as reason:
            raise Problem(409, str(reason)) from None
        record(caller(request), "replayed", "execution", correlation_id, started=begun)
        links = [self.links.to("execution", "v1", "audit", "flows", one) for one in begun]
        return Response({"correlationIds": begun, "links": links}, status=202)


def checked(text: str) -> Response:
    """What saving this text would change. Raises `Problem` 400 with every error and its place in the text."""
    proposal = propose(text)
    if errors := proposal.checked.errors:
        raise bad_input(*(input_error(FlowIssue(one.path, one.message, one.line, one.column)) for one in errors))
    return Response(serializers.proposed(proposal))


def save(request: Request, document: FlowDefinition) -> Flow:
    """Save the flow that the request posts. Raises `Problem` 412 where `If-Match` names another version."""
    note = request.query_params.get("note", "")
    if len(note) > MAX_NOTE:
        raise bad_input({"path": "note", "message": f"must have at most {MAX_NOTE} characters"})
    source, kind = read_text(request)[0], media_type(request)[0][:40]
    try:
        with transaction.atomic():
            flow = saving.save(document, source=source, media_type=kind, note=note, expected=expected_version(request))
            record(caller(request), "saved", "flow", flow.name, version=flow.version_id, note=note)
            return flow
    except saving.ConflictError as conflict:
        headers = {"ETag": etag(conflict.current)} if conflict.current else {}
        raise Problem(412, str(conflict), headers=headers) from None


def expected_version(request: Request) -> str | None:
    """The version that the caller thinks the flow is on: '' for none, None where it does not say. Raises `Problem`."""
    match, none_match = (request.headers.get(name, "").strip() for name in ("If-Match", "If-None-Match"))
    if none_match == "*":
        return ""
    if not match:
        return None
    if len(match) < 3 or match[0] != '"' or match[-1] != '"' or '"' in match[1:-1]:
        raise bad_input({"path": "If-Match", "message": "must be one ETag of the flow, in its quotes"})
    return match[1:-1]


def attempt_of(request: HttpRequest) -> int:
    """The attempt that the caller speaks of; a link that names none means the first."""
    return whole_number(request, "attempt", 1, most=MAX_ATTEMPT)


def idempotency(request: HttpRequest) -> engine.Once | None:
    """What tells this event from others, where its sender gave it a key. Raises `Problem` 400."""
    key = request.META.get(KEY_META, "")
    if not key:
        return None
    if len(key) > MAX_KEY or not key.isprintable():
        raise bad_input({"path": KEY_HEADER, "message": f"must have at most {MAX_KEY} printable characters"})
    kind = request.META.get("CONTENT_TYPE", "")
    return engine.Once(key, hashlib.sha256(kind.encode() + b"\n" + request.body).hexdigest())


def read_event(request: HttpRequest, pack: Pack) -> Event:
    """The event in the body, as of this pack: who sent it is what the path says, never the body."""
    now = timezone.now()
    document = read_document(request, serializers.EVENT_TEXT_PLACES)
    values = document if serializers.is_plain_event(document) else EVENT_INPUT.valid(document)
    return Event(
        pack=PackSeen(pack.identity, pack.name, pack.labels),
        name=values["event"],
        payload=values.get("payload"),
        created_at=values.get("createdAt") or now,
        received_at=now,
    )


def refusal(action_id: str, pack: Pack) -> str:
    """Why a result is not taken."""
    action = Action.objects.filter(id=action_id).first()
    if action is None or not pack.can_take(action):
        return "the action is meant for packs of another name or with other labels"
    if action.waiting:
        return "the action waits to be taken; no result is expected of it"
    return f"attempt {action.attempt} of the action is {action.state}; this result is another one, or too late"


def input_error(finding: FlowIssue) -> InputError:
    """An error in a flow document in the shape of the API's errors."""
    error: InputError = {"path": finding.path, "message": finding.message}
    if finding.line:
        error |= {"line": finding.line, "column": finding.column}
    return error


def warning_header(warnings: list[FlowIssue]) -> dict[str, str]:
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
