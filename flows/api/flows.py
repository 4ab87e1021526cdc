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

from flows.api import dry_run, serializers
from flows.api.versions import format_etag
from flows.definition import FLOW_TEXT_FIELDS, FlowDefinition, FlowIssue, FlowValidationError, parse_flow, store
from flows.definition.plan import export_flow, plan_save
from flows.definition.registry_checks import find_registry_warnings
from flows.engine import control
from flows.engine.complete import complete_action
from flows.engine.handle_event import IdempotencyKey, IdempotencyKeyReusedError, handle_event
from flows.engine.step import EventSource, IncomingEvent
from flows.models import MAX_NOTE_LENGTH, Flow
from flyte_site.auth.activity_log import actor_of_caller, log_activity
from flyte_site.core.metrics import time_intake
from flyte_site.http.content_types import empty_response
from flyte_site.http.fields import problem_responses
from flyte_site.http.problems import ErrorItem, Problem, invalid_input, not_found
from flyte_site.http.request_body import parse_body, parse_content_type, read_text_body
from flyte_site.http.views import APIView, RawView, get_integer_parameter, name_page, order_by_name
from packs import registry
from packs.models import Action, Pack
from packs.queue import action_queue
from packs.queue.action_queue import ResultStatus

log = structlog.get_logger(__name__)

WARNING_HEADER = "X-Flyte-Warning"
IDEMPOTENCY_KEY_HEADER, IDEMPOTENCY_KEY_META = "Idempotency-Key", "HTTP_IDEMPOTENCY_KEY"
MAX_IDEMPOTENCY_KEY_LENGTH = 255
MAX_ATTEMPT = 30_000
ATTEMPT_PARAMETER = OpenApiParameter("attempt", OpenApiTypes.INT, description="As the action's result link has it.")
DRY_RUN_RESPONSE = PolymorphicProxySerializer(
    component_name="Tried",
    serializers=[serializers.DryRunSchema, serializers.SavePlanSchema],
    resource_type_field_name=None,
)
CHECK_PARAMETER = OpenApiParameter(
    "check", enum=["true"], description="The body is a flow; what saving it would change."
)
TEXT_PARAMETER = OpenApiParameter(
    "text", enum=["true"], description="The flow as it was written, as text, without links."
)
NOTE_PARAMETER = OpenApiParameter("note", description="What the change is for; stands with the version.")
IF_MATCH_PARAMETER = OpenApiParameter(
    "If-Match", location="header", description="The ETag that the flow was read with."
)
IF_NONE_MATCH_PARAMETER = OpenApiParameter(
    "If-None-Match", location="header", description="`*`: only if there is no such flow."
)
IDEMPOTENCY_KEY_PARAMETER = OpenApiParameter(
    IDEMPOTENCY_KEY_HEADER,
    location="header",
    description=f"A name of the event's own, up to {MAX_IDEMPOTENCY_KEY_LENGTH} characters: it counts once.",
)
# Made once: its fields are copied each time that one is made.
EVENT_INPUT_SERIALIZER = serializers.EventInput()
CONTROL_RESPONSES: dict[Any, Any] = {204: None, **problem_responses(404, 409)}
# A proxy in front may take no more than 4 KiB for all headers of an answer.
MAX_WARNING_LENGTH = 1500


class FlowListView(APIView):
    """All flows, and the door for new ones."""

    @extend_schema(
        operation_id="listFlows", tags=["flow"], parameters=[OpenApiParameter("after")], responses=serializers.FlowList
    )
    def get(self, request: Request) -> Response:
        """The flows in the order of their names."""
        flows = order_by_name(Flow.objects.all(), "name", request)
        page_flows, links = name_page(flows, "name", self.links, "flows", "#/flow")
        return Response(
            {"flows": [serializers.serialize_flow_summary(flow, self.links) for flow in page_flows], "links": links}
        )

    @extend_schema(
        operation_id="addFlow",
        tags=["flow"],
        request=serializers.FlowInput,
        parameters=[NOTE_PARAMETER, IF_MATCH_PARAMETER, IF_NONE_MATCH_PARAMETER],
        responses={201: None, **problem_responses(400, 412)},
    )
    def post(self, request: Request) -> Any:
        """Save a flow under its name; the one before becomes an older version.

        Whatever is wrong with it is told at once, each error with its path. What may be a mistake, such as a pack that
        is not registered yet, does not keep it from being saved: it stands in the header `X-Flyte-Warning`.
        With `If-Match` and the `ETag` that the flow was read with, it is only saved if nobody has changed it since.
        """
        data = parse_body(request, FLOW_TEXT_FIELDS, unique_keys=True)
        try:
            definition = parse_flow(data)
        except FlowValidationError as error:
            raise invalid_input(*map(to_input_error, error.errors)) from None
        flow = save_posted_flow(request, definition)
        warnings = [*definition.warnings, *find_registry_warnings(definition)]
        if not flow.enabled:
            message = "the flow is disabled and starts nothing; post it with enabled: true to change that"
            warnings.insert(0, FlowIssue("enabled", message))
        log.info("flow_saved", flow=flow.name, version=flow.version_id, warnings=len(warnings))
        headers = {"Location": self.links.href("v1", "flows", flow.name), "ETag": format_etag(flow.version_id)}
        return empty_response(201, headers | format_warning_header(warnings))


class FlowView(APIView):
    """One flow."""

    @extend_schema(
        operation_id="getFlow",
        tags=["flow"],
        parameters=[TEXT_PARAMETER],
        responses={200: serializers.FlowOutput, (200, "text/plain"): OpenApiTypes.STR, **problem_responses(404)},
    )
    def get(self, request: Request, name: str) -> Any:
        """The flow's document as it runs now; with `text=true` as a text to keep in a file, comments and all."""
        flow = Flow.objects.select_related("version").filter(name=name).first()
        if flow is None:
            raise not_found(f"flow {name!r}")
        if request.query_params.get("text") == "true":
            headers = {"ETag": format_etag(flow.version_id)}
            return HttpResponse(export_flow(flow), content_type="text/plain; charset=utf-8", headers=headers)
        return Response(serializers.serialize_flow(flow, self.links), headers={"ETag": format_etag(flow.version_id)})

    @extend_schema(operation_id="deleteFlow", tags=["flow"], responses={204: None, **problem_responses(404)})
    def delete(self, request: Request, name: str) -> Any:
        """Delete the flow: it starts nothing any more, and what runs goes on."""
        with transaction.atomic():
            if not store.delete_flow(name):
                raise not_found(f"flow {name!r}")
            log_activity(actor_of_caller(request), "deleted", "flow", name)
        log.info("flow_deleted", flow=name)
        return empty_response(204)


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
        request=dry_run.DryRunInput,
        parameters=[CHECK_PARAMETER],
        responses={200: DRY_RUN_RESPONSE, **problem_responses(400, 404)},
    )
    def post(self, request: Request) -> Response:
        """What a flow would do with an event, and with pretended results: nothing is queued or written.

        With `check=true` the body is the flow itself, and the answer what saving it would change, as a diff, and all
        warnings; each finding has its line and column in the text that was sent.
        """
        if request.query_params.get("check") == "true":
            return build_plan_response(read_text_body(request)[0])
        return Response(dry_run.handle_dry_run(parse_body(request, dry_run.DRY_RUN_TEXT_FIELDS, unique_keys=True)))


class PostEventView(RawView):
    """Where packs tell what happened."""

    @extend_schema(
        operation_id="event",
        tags=["event"],
        request=serializers.EventInput,
        parameters=[IDEMPOTENCY_KEY_PARAMETER],
        responses={202: None, **problem_responses(400, 404, 422)},
    )
    def post(self, request: HttpRequest, pack_id: str) -> HttpResponse:
        """Take an event. 202 means that all it causes is kept."""
        pack = registry.authenticate_pack(pack_id, request)
        event = read_event(request, pack)
        try:
            with time_intake("event"):
                handle_event(event, read_idempotency_key(request))
        except IdempotencyKeyReusedError:
            raise Problem(422, f"the {IDEMPOTENCY_KEY_HEADER} was sent with another event before") from None
        return empty_response(202)


class PostResultView(RawView):
    """Where packs give the result of an action they took."""

    @extend_schema(
        operation_id="actionResult",
        tags=["action"],
        request=serializers.EventInput,
        parameters=[ATTEMPT_PARAMETER],
        responses={202: None, **problem_responses(400, 404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str, action_id: str) -> HttpResponse:
        """Take a result, which is an event again: `FATAL` if the command failed beyond what its events can say.

        The same result again is fine; another one, or one of an attempt that is over, is refused with 409.
        """
        pack = registry.authenticate_pack(pack_id, request)
        event, attempt = read_event(request, pack), read_attempt(request)
        with time_intake("result"):
            status = complete_action(action_id, pack, event, attempt)
        if status is None:
            raise not_found(f"action {action_id!r}")
        if status is ResultStatus.REJECTED:
            raise Problem(409, explain_refusal(action_id, pack))
        return empty_response(202)


class HeartbeatView(RawView):
    """Where packs say that they are still at it."""

    @extend_schema(
        operation_id="extendAction",
        tags=["action"],
        request=None,
        parameters=[ATTEMPT_PARAMETER],
        responses={204: None, **problem_responses(404, 409)},
    )
    def post(self, request: HttpRequest, pack_id: str, action_id: str) -> HttpResponse:
        """Begin the time for an action anew. 409 when it is no longer this pack's: then its work is for nothing."""
        pack = registry.authenticate_pack(pack_id, request)
        if action_queue.extend_lease(action_id, pack, read_attempt(request)):
            return empty_response(204)
        if not Action.objects.filter(id=action_id).exists():
            raise not_found(f"action {action_id!r}")
        raise Problem(409, "the action is no longer this pack's")


class ExecutionControlView(APIView):
    """What all views have that change what runs."""

    def apply(self, verb: str, correlation_id: str, operation: Callable[[], None], **detail: Any) -> HttpResponse:
        """204 when it is done, and recorded as `what`; 404 and 409 when it can't be."""
        try:
            with transaction.atomic():
                operation()
                log_activity(actor_of_caller(self.request), verb, "execution", correlation_id, **detail)
        except control.ExecutionNotFoundError as error:
            raise not_found(str(error)) from None
        except control.InvalidExecutionStateError as error:
            raise Problem(409, str(error)) from None
        return empty_response(204)


class CancelExecutionView(ExecutionControlView):
    """Stops an execution."""

    @extend_schema(operation_id="cancelExecution", tags=["flowAudit"], request=None, responses=CONTROL_RESPONSES)
    def post(self, request: Request, correlation_id: str) -> Any:
        """Cancel: what waits is not given to anybody any more, results of what is under way come too late."""
        return self.apply("cancelled", correlation_id, lambda: control.cancel_execution(correlation_id))


class RetryStepView(ExecutionControlView):
    """Runs a failed step again."""

    @extend_schema(operation_id="retryStep", tags=["flowAudit"], request=None, responses=CONTROL_RESPONSES)
    def post(self, request: Request, correlation_id: str, step_id: str) -> Any:
        """Let a step's action that ended FATAL be taken again, with the same input."""
        return self.apply("retried", correlation_id, lambda: control.retry_step(correlation_id, step_id), step=step_id)


class ReplayEventView(APIView):
    """Runs a flow again."""

    @extend_schema(
        operation_id="replayEvent",
        tags=["flowAudit"],
        request=None,
        parameters=[OpenApiParameter("flows", enum=["own", "all"], description="Who hears of the event again.")],
        responses={202: serializers.ReplayOutput, **problem_responses(404, 409)},
    )
    def post(self, request: Request, correlation_id: str) -> Response:
        """Take the event that began an execution again, on the flow as it is now (`flows=all`: on every flow)."""
        try:
            execution_ids = control.replay_event(correlation_id, all_flows=request.query_params.get("flows") == "all")
        except control.ExecutionNotFoundError as error:
            raise not_found(str(error)) from None
        except control.InvalidExecutionStateError as error:
            raise Problem(409, str(error)) from None
        log_activity(actor_of_caller(request), "replayed", "execution", correlation_id, started=execution_ids)
        links = [self.links.to("execution", "v1", "audit", "flows", execution_id) for execution_id in execution_ids]
        return Response({"correlationIds": execution_ids, "links": links}, status=202)


def build_plan_response(text: str) -> Response:
    """What saving this text would change. Raises `Problem` 400 with every error and its place in the text."""
    plan = plan_save(text)
    if errors := plan.report.errors:
        raise invalid_input(
            *(to_input_error(FlowIssue(issue.path, issue.message, issue.line, issue.column)) for issue in errors)
        )
    return Response(serializers.serialize_plan(plan))


def save_posted_flow(request: Request, definition: FlowDefinition) -> Flow:
    """Save the flow that the request posts. Raises `Problem` 412 where `If-Match` names another version."""
    note = request.query_params.get("note", "")
    if len(note) > MAX_NOTE_LENGTH:
        raise invalid_input({"path": "note", "message": f"must have at most {MAX_NOTE_LENGTH} characters"})
    source, content_type = read_text_body(request)[0], parse_content_type(request)[0][:40]
    try:
        with transaction.atomic():
            flow = store.save_flow(
                definition,
                source=source,
                media_type=content_type,
                note=note,
                expected_version_id=read_expected_version(request),
            )
            log_activity(actor_of_caller(request), "saved", "flow", flow.name, version=flow.version_id, note=note)
            return flow
    except store.VersionConflictError as conflict:
        headers = {"ETag": format_etag(conflict.current_version_id)} if conflict.current_version_id else {}
        raise Problem(412, str(conflict), headers=headers) from None


def read_expected_version(request: Request) -> str | None:
    """The version that the caller thinks the flow is on: '' for none, None where it does not say. Raises `Problem`."""
    if_match, if_none_match = (request.headers.get(name, "").strip() for name in ("If-Match", "If-None-Match"))
    if if_none_match == "*":
        return ""
    if not if_match:
        return None
    if len(if_match) < 3 or if_match[0] != '"' or if_match[-1] != '"' or '"' in if_match[1:-1]:
        raise invalid_input({"path": "If-Match", "message": "must be one ETag of the flow, in its quotes"})
    return if_match[1:-1]


def read_attempt(request: HttpRequest) -> int:
    """The attempt that the caller speaks of; a link that names none means the first."""
    return get_integer_parameter(request, "attempt", 1, maximum=MAX_ATTEMPT)


def read_idempotency_key(request: HttpRequest) -> IdempotencyKey | None:
    """What tells this event from others, where its sender gave it a key. Raises `Problem` 400."""
    key = request.META.get(IDEMPOTENCY_KEY_META, "")
    if not key:
        return None
    if len(key) > MAX_IDEMPOTENCY_KEY_LENGTH or not key.isprintable():
        raise invalid_input(
            {
                "path": IDEMPOTENCY_KEY_HEADER,
                "message": f"must have at most {MAX_IDEMPOTENCY_KEY_LENGTH} printable characters",
            }
        )
    content_type = request.META.get("CONTENT_TYPE", "")
    return IdempotencyKey(key, hashlib.sha256(content_type.encode() + b"\n" + request.body).hexdigest())


def read_event(request: HttpRequest, pack: Pack) -> IncomingEvent:
    """The event in the body, as of this pack: who sent it is what the path says, never the body."""
    now = timezone.now()
    data = parse_body(request, serializers.EVENT_TEXT_FIELDS)
    values = data if serializers.is_minimal_event(data) else EVENT_INPUT_SERIALIZER.validate_data(data)
    return IncomingEvent(
        pack=EventSource.of_pack(pack),
        name=values["event"],
        payload=values.get("payload"),
        created_at=values.get("createdAt") or now,
        received_at=now,
    )


def explain_refusal(action_id: str, pack: Pack) -> str:
    """Why a result is not taken."""
    action = Action.objects.filter(id=action_id).first()
    if action is None or not pack.can_take(action):
        return "the action is meant for packs of another name or with other labels"
    if action.waiting:
        return "the action waits to be taken; no result is expected of it"
    return f"attempt {action.attempt} of the action is {action.state}; this result is another one, or too late"


def to_input_error(issue: FlowIssue) -> ErrorItem:
    """An error in a flow document in the shape of the API's errors."""
    error: ErrorItem = {"path": issue.path, "message": issue.message}
    if issue.line:
        error |= {"line": issue.line, "column": issue.column}
    return error


def format_warning_header(warnings: list[FlowIssue]) -> dict[str, str]:
    """The warnings as one header in ASCII, e.g. `steps[0].event.packName: no pack 'Slack' is registered; …`."""
    if not warnings:
        return {}
    parts: list[str] = []
    for warning in warnings:
        text = json.dumps(f"{warning.path}: {warning.message}")[1:-1].replace('\\"', '"')[:MAX_WARNING_LENGTH]
        if parts and len("; ".join([*parts, text])) > MAX_WARNING_LENGTH:
            return {WARNING_HEADER: "; ".join([*parts, f"and {len(warnings) - len(parts)} more"])}
        parts.append(text)
    return {WARNING_HEADER: "; ".join(parts)}
