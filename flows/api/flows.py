"""API of flows: list, save, read, delete and dry-run."""

from typing import Any

import structlog
from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flows.api import dry_run, serializers
from flows.api.document_serializers import FlowInput, FlowOutput
from flows.api.versions import format_etag
from flows.definition import FLOW_TEXT_FIELDS, FlowDefinition, FlowIssue, FlowValidationError, parse_flow, store
from flows.definition.checks.registry import find_registry_warnings
from flows.definition.editor.locations import locate_issues
from flows.definition.plan import SavePlan, export_flow, plan_save
from flows.models import MAX_NOTE_LENGTH, Flow
from flyte_site.auth.activity_log import actor_of_caller, log_activity
from flyte_site.db.conflicts import retry_conflicts
from flyte_site.http.content_types import empty_response
from flyte_site.http.input.body import parse_body, parse_content_type, read_text_body
from flyte_site.http.input.fields import problem_responses
from flyte_site.http.output.warning_header import format_warning_header
from flyte_site.http.problems import ErrorItem, Problem, invalid_input, not_found
from flyte_site.http.views import AFTER_PARAMETER, APIView, choice_parameter, get_choice, name_page, order_by_name

log = structlog.get_logger(__name__)

DRY_RUN_RESPONSE = PolymorphicProxySerializer(
    component_name="Tried",
    serializers=[serializers.DryRunSchema, serializers.SavePlanSchema],
    resource_type_field_name=None,
)
SWITCH = ("true", "false")
CHECK_PARAMETER = choice_parameter(
    "check", SWITCH, "`true`: the body is a flow; return the changes that saving it would make."
)
TEXT_PARAMETER = choice_parameter("text", SWITCH, "`true`: return the flow as text, as it was written, without links.")
NOTE_PARAMETER = OpenApiParameter("note", description="The reason for the change, stored with the version.")
IF_MATCH_PARAMETER = OpenApiParameter(
    "If-Match",
    location="header",
    description="The ETag of the version that was read; 412 if the flow has changed since.",
)
IF_NONE_MATCH_PARAMETER = OpenApiParameter(
    "If-None-Match", location="header", description="`*`: save only if no flow has this name; otherwise 412."
)


class FlowListView(APIView):
    """The list of flows, and saving of flows."""

    @extend_schema(
        operation_id="listFlows",
        summary="List flows",
        tags=["flow"],
        parameters=[AFTER_PARAMETER],
        responses=serializers.FlowList,
    )
    def get(self, request: Request) -> Response:
        """List the flows in the order of their names."""
        flows = order_by_name(Flow.objects.all(), "name", request)
        page_flows, links = name_page(flows, "name", self.links, "flows", "#/flow")
        return self.respond(serializers.FlowList, {"flows": page_flows, "links": links})

    @extend_schema(
        operation_id="addFlow",
        summary="Create or replace a flow",
        tags=["flow"],
        request=FlowInput,
        parameters=[NOTE_PARAMETER, IF_MATCH_PARAMETER, IF_NONE_MATCH_PARAMETER],
        responses={201: None, **problem_responses(400, 412)},
    )
    def post(self, request: Request) -> Any:
        """Save a flow under its name. If a flow has this name already, its document becomes an older version.

        If the flow has errors, the response lists all of them, each with its path, and its line and column in the body.
        Possible mistakes, such as a pack
        that is not registered, do not prevent saving; they are listed in the header `X-Flyte-Warning`.
        With `If-Match` and the `ETag` of an earlier read, the flow is saved only if it has not changed since.
        """
        data = parse_body(request, FLOW_TEXT_FIELDS, unique_keys=True)
        try:
            definition = parse_flow(data)
        except FlowValidationError as error:
            text, is_yaml = read_text_body(request)
            errors = locate_issues(error.errors, text, is_json=not is_yaml)
            raise invalid_input(*map(to_input_error, errors)) from None
        flow = save_posted_flow(request, definition)
        warnings = [*definition.warnings, *find_registry_warnings(definition)]
        if not flow.enabled:
            message = "the flow is disabled; set enabled: true to activate it"
            warnings.insert(0, FlowIssue("enabled", message))
        log.info("flow_saved", flow=flow.name, version=flow.version_id, warnings=len(warnings))
        headers = {"Location": self.links.href("v1", "flows", flow.name), "ETag": format_etag(flow.version_id)}
        return empty_response(201, headers | format_warning_header(warnings))


class FlowView(APIView):
    """A flow."""

    @extend_schema(
        operation_id="getFlow",
        summary="Get a flow",
        tags=["flow"],
        parameters=[TEXT_PARAMETER],
        responses={200: FlowOutput, (200, "text/plain"): OpenApiTypes.STR, **problem_responses(400, 404)},
    )
    def get(self, request: Request, name: str) -> Any:
        """Return the current document of the flow; with `text=true`, as text with its comments, to keep in a file."""
        is_text = get_choice(request, "text", SWITCH) == "true"
        flow = Flow.objects.select_related("version").filter(name=name).first()
        if flow is None:
            raise not_found(f"flow {name!r}")
        if is_text:
            headers = {"ETag": format_etag(flow.version_id)}
            return HttpResponse(export_flow(flow), content_type="text/plain; charset=utf-8", headers=headers)
        return self.respond(FlowOutput, flow, headers={"ETag": format_etag(flow.version_id)})

    @extend_schema(
        operation_id="deleteFlow",
        summary="Delete a flow",
        tags=["flow"],
        responses={204: None, **problem_responses(404)},
    )
    @retry_conflicts
    def delete(self, request: Request, name: str) -> Any:
        """Delete the flow. It starts no further executions; running ones continue."""
        with transaction.atomic():
            if not store.delete_flow(name):
                raise not_found(f"flow {name!r}")
            log_activity(actor_of_caller(request), "deleted", "flow", name)
        log.info("flow_deleted", flow=name)
        return empty_response(204)


@extend_schema(methods=["GET", "DELETE"], exclude=True)
class DryRunView(FlowView):
    """Dry runs of flows. A flow can have the name `dry-run`: GET and DELETE act on that flow."""

    name = "dry-run"

    def get(self, request: Request, name: str = name) -> Any:
        """Get the flow of this name."""
        return super().get(request, name)

    def delete(self, request: Request, name: str = name) -> Any:
        """Delete the flow of this name."""
        return super().delete(request, name)

    @extend_schema(
        operation_id="tryFlow",
        summary="Dry-run a flow, or check its text",
        tags=["flow"],
        request=dry_run.DryRunInput,
        parameters=[CHECK_PARAMETER],
        responses={200: DRY_RUN_RESPONSE, **problem_responses(400, 404)},
    )
    def post(self, request: Request) -> Response:
        """Evaluate a flow with an event and simulated results, without queueing or writing anything.

        With `check=true`, the body is the flow itself. The response then has the changes that saving it would make, as
        a diff, and all warnings, each with its line and column in the body.
        """
        if get_choice(request, "check", SWITCH) == "true":
            return self.respond(serializers.SavePlanSchema, plan_valid_save(read_text_body(request)[0]))
        data = parse_body(request, dry_run.DRY_RUN_TEXT_FIELDS, unique_keys=True)
        return self.respond(serializers.DryRunSchema, dry_run.handle_dry_run(data, read_text_body(request)))


def plan_valid_save(text: str) -> SavePlan:
    """Plan the save of this text. Raise `Problem` 400 with every error and its line and column."""
    plan = plan_save(text)
    if errors := plan.report.errors:
        raise invalid_input(
            *(to_input_error(FlowIssue(issue.path, issue.message, issue.line, issue.column)) for issue in errors)
        )
    return plan


@retry_conflicts
def save_posted_flow(request: Request, definition: FlowDefinition) -> Flow:
    """Save the flow in the request. Raises `Problem` 412 if `If-Match` names another version."""
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
        message = str(conflict)
        if not conflict.current_version_id and not conflict.was_deleted:
            message = f"flow {definition.name!r} does not exist (If-Match was {request.headers['If-Match'].strip()})"
        raise Problem(412, message, headers=headers) from None


def read_expected_version(request: Request) -> str | None:
    """Return the version that the caller expects: '' for a new flow, None if not specified. Raises `Problem`."""
    if_match, if_none_match = (request.headers.get(name, "").strip() for name in ("If-Match", "If-None-Match"))
    if if_none_match == "*":
        return ""
    if not if_match:
        return None
    if len(if_match) < 3 or if_match[0] != '"' or if_match[-1] != '"' or '"' in if_match[1:-1]:
        raise invalid_input({"path": "If-Match", "message": "must be one ETag of the flow, in quotes"})
    return if_match[1:-1]


def to_input_error(issue: FlowIssue) -> ErrorItem:
    """Convert an error in a flow document to the API's error format."""
    error: ErrorItem = {"path": issue.path, "message": issue.message}
    if issue.line:
        error |= {"line": issue.line, "column": issue.column}
    return error
