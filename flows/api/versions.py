"""API of flow versions, and of enabling and disabling flows."""

from typing import Any
from urllib.parse import urlencode

import structlog
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flows.definition import FlowValidationError, store
from flows.models import Flow, FlowVersion
from flyte_site.auth.activity_log import actor_of_caller, log_activity
from flyte_site.db.conflicts import retry_conflicts
from flyte_site.db.keyset import fetch_page
from flyte_site.http.content_types import empty_response
from flyte_site.http.input.fields import LinkSerializer, problem_responses
from flyte_site.http.output.links import Link
from flyte_site.http.output.serializers import FlagField, LinksField, OutputContext, OutputSerializer, TimestampField
from flyte_site.http.problems import ErrorItem, Problem, not_found
from flyte_site.http.views import AFTER_PARAMETER, PAGE_SIZE, APIView

log = structlog.get_logger(__name__)


class CurrentField(FlagField):
    """A flag, true for the current version and omitted for the others."""

    def compute(self, instance: FlowVersion, context: OutputContext) -> bool:
        return bool(instance.id == context.values["current_id"])


class VersionSchema(OutputSerializer):
    """A saved state of a flow; `current` is true for the current version, otherwise omitted."""

    uuid = serializers.CharField(source="id")
    savedAt = TimestampField(source="saved_at")  # noqa: N815
    savedBy = serializers.CharField(source="saved_by", required=False)  # noqa: N815
    note = serializers.CharField(required=False)
    current = CurrentField()
    links = LinksField()

    def get_links(self, version: FlowVersion, context: OutputContext) -> list[Link]:
        return [context.links.to("self", "v1", "flows", version.flow_name, "versions", version.id)]


class VersionList(OutputSerializer):
    """A page of a flow's versions, with a `next` link if there are more."""

    versions = VersionSchema(many=True)
    links = LinkSerializer(many=True)


class VersionDetail(VersionSchema):
    """A version with the flow's document as it was saved."""

    document = serializers.JSONField()


class VersionListView(APIView):
    """The versions of a flow."""

    @extend_schema(
        operation_id="listFlowVersions",
        summary="List a flow's versions",
        tags=["flow"],
        parameters=[AFTER_PARAMETER],
        responses={200: VersionList, **problem_responses(404)},
    )
    def get(self, request: Request, name: str) -> Response:
        """List the versions of a flow, newest first, even if the flow was deleted."""
        versions = FlowVersion.objects.filter(flow_name=name).defer("document", "source")
        after = request.query_params.get("after", "")
        page = fetch_page(versions, "id", PAGE_SIZE, after=after, descending=True)
        if not page.rows and not FlowVersion.objects.filter(flow_name=name).exists():
            raise not_found(f"flow {name!r}")
        current_id = get_current_version_id(name)
        path = ("v1", "flows", name, "versions")
        links = [self.links.to("self", *path), self.links.to("up", "v1", "flows", name)]
        if page.next_key:
            links.append(self.links.to("next", *path, query=urlencode({"after": page.next_key})))
        return self.respond(VersionList, {"versions": page.rows, "links": links}, current_id=current_id)


class VersionView(APIView):
    """A version of a flow."""

    @extend_schema(
        operation_id="getFlowVersion",
        summary="Get a version of a flow",
        tags=["flow"],
        responses={200: VersionDetail, **problem_responses(404)},
    )
    def get(self, request: Request, name: str, version_id: str) -> Response:
        """Return the version with the flow's document as it was saved."""
        version = get_version(name, version_id)
        return self.respond(VersionDetail, version, current_id=get_current_version_id(name))


class RestoreView(APIView):
    """Restoring of versions."""

    @extend_schema(
        operation_id="restoreFlowVersion",
        summary="Restore a version of a flow",
        tags=["flow"],
        request=None,
        responses={201: None, **problem_responses(404, 409)},
    )
    @retry_conflicts
    def post(self, request: Request, name: str, version_id: str) -> Any:
        """Save the document of the version as a new version. The flow stays enabled or disabled."""
        version = get_version(name, version_id)
        try:
            with transaction.atomic():
                flow = store.restore_version(version.id)
                if flow is not None:
                    log_activity(
                        actor_of_caller(request), "restored", "flow", name, version=flow.version_id, of=version_id
                    )
        except FlowValidationError as error:
            errors: list[ErrorItem] = [{"path": issue.path, "message": issue.message} for issue in error.errors]
            raise Problem(409, "the version violates rules that were added after it was saved", errors=errors) from None
        log.info("flow_restored", flow=name, version=version_id)
        if flow is None:
            raise not_found(f"version {version_id!r} of flow {name!r}")
        return empty_response(
            201, {"Location": self.links.href("v1", "flows", name), "ETag": format_etag(flow.version_id)}
        )


class EnableView(APIView):
    """Enabling of flows."""

    @extend_schema(
        operation_id="enableFlow",
        summary="Enable a flow",
        tags=["flow"],
        request=None,
        responses={204: None, **problem_responses(404)},
    )
    def post(self, request: Request, name: str) -> Any:
        """Enable the flow: it starts executions again. This creates no version."""
        return set_flow_enabled(request, name, enabled=True)


class DisableView(APIView):
    """Disabling of flows."""

    @extend_schema(
        operation_id="disableFlow",
        summary="Disable a flow",
        tags=["flow"],
        request=None,
        responses={204: None, **problem_responses(404)},
    )
    def post(self, request: Request, name: str) -> Any:
        """Disable the flow: it starts no executions, and running ones continue. This creates no version."""
        return set_flow_enabled(request, name, enabled=False)


@retry_conflicts
def set_flow_enabled(request: Request, name: str, *, enabled: bool) -> Any:
    with transaction.atomic():
        if not store.set_enabled(name, enabled):
            raise not_found(f"flow {name!r}")
        log_activity(actor_of_caller(request), "enabled" if enabled else "disabled", "flow", name)
    log.info("flow_enabled" if enabled else "flow_disabled", flow=name)
    return empty_response(204)


def get_current_version_id(name: str) -> str:
    """Return the id of the current version; '' if the flow does not exist."""
    return Flow.objects.filter(name=name).values_list("version_id", flat=True).first() or ""


def get_version(name: str, version_id: str) -> FlowVersion:
    """Return the flow's version with this id. Raises `Problem` 404."""
    version = FlowVersion.objects.filter(flow_name=name, id=version_id).first()
    if version is None:
        raise not_found(f"version {version_id!r} of flow {name!r}")
    return version


def format_etag(version_id: str) -> str:
    """Format a version's id as an `ETag`."""
    return f'"{version_id}"'
