"""A flow's versions over REST, and whether it starts anything."""

from typing import Any
from urllib.parse import urlencode

import structlog
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from flows import saving
from flows.document import FlowValidationError
from flows.models import Flow, FlowVersion
from flyte_site.changes import caller, record
from flyte_site.rest.fields import LinkSerializer, problems
from flyte_site.rest.links import Links
from flyte_site.rest.media import empty
from flyte_site.rest.problems import InputError, Problem, not_found
from flyte_site.rest.views import PAGE, APIView
from flyte_site.times import to_text

log = structlog.get_logger(__name__)


class VersionSchema(serializers.Serializer[Any]):
    """A saved state of a flow; `current` is only there, and true, for the one that runs."""

    uuid = serializers.CharField()
    savedAt = serializers.DateTimeField()  # noqa: N815
    savedBy = serializers.CharField(required=False)  # noqa: N815
    note = serializers.CharField(required=False)
    current = serializers.BooleanField(required=False)
    links = LinkSerializer(many=True)


class VersionList(serializers.Serializer[Any]):
    """A page of a flow's versions; a `next` link where there are more."""

    versions = VersionSchema(many=True)
    links = LinkSerializer(many=True)


class VersionDetail(VersionSchema):
    """A version with the flow's document as it was saved."""

    document = serializers.JSONField()


class VersionListView(APIView):
    """The versions of a flow."""

    @extend_schema(
        operation_id="listFlowVersions",
        tags=["flow"],
        parameters=[OpenApiParameter("after")],
        responses={200: VersionList, **problems(404)},
    )
    def get(self, request: Request, name: str) -> Response:
        """The versions of a flow, the newest first; also of a flow that was deleted."""
        versions = FlowVersion.objects.filter(flow_name=name).defer("document", "source").order_by("-id")
        if after := request.query_params.get("after", ""):
            versions = versions.filter(id__lt=after)
        found = list(versions[: PAGE + 1])
        if not found and not FlowVersion.objects.filter(flow_name=name).exists():
            raise not_found(f"flow {name!r}")
        current = current_version(name)
        own = ("v1", "flows", name, "versions")
        links = [self.links.to("self", *own), self.links.to("up", "v1", "flows", name)]
        if len(found) > PAGE:
            links.append(self.links.to("next", *own, query=urlencode({"after": found[PAGE - 1].id})))
        shown = [version_summary(version, current, self.links) for version in found[:PAGE]]
        return Response({"versions": shown, "links": links})


class VersionView(APIView):
    """One version of a flow."""

    @extend_schema(operation_id="getFlowVersion", tags=["flow"], responses={200: VersionDetail, **problems(404)})
    def get(self, request: Request, name: str, version_id: str) -> Response:
        """The version, with the flow's document as it was saved."""
        version = version_of(name, version_id)
        shown = version_summary(version, current_version(name), self.links)
        return Response({**shown, "document": version.document})


class RestoreView(APIView):
    """Where an older version becomes the current one again."""

    @extend_schema(
        operation_id="restoreFlowVersion", tags=["flow"], request=None, responses={201: None, **problems(404, 409)}
    )
    def post(self, request: Request, name: str, version_id: str) -> Any:
        """Save the version's document anew. Whether the flow is enabled stays as it is."""
        version = version_of(name, version_id)
        try:
            with transaction.atomic():
                flow = saving.restore(version.id)
                if flow is not None:
                    record(caller(request), "restored", "flow", name, version=flow.version_id, of=version_id)
        except FlowValidationError as error:
            errors: list[InputError] = [{"path": one.path, "message": one.message} for one in error.errors]
            raise Problem(409, "the version breaks rules that came after it", errors=errors) from None
        log.info("flow_restored", flow=name, version=version_id)
        if flow is None:
            raise not_found(f"version {version_id!r} of flow {name!r}")
        return empty(201, {"Location": self.links.href("v1", "flows", name), "ETag": etag(flow.version_id)})


class EnableView(APIView):
    """Where a flow is switched on."""

    @extend_schema(operation_id="enableFlow", tags=["flow"], request=None, responses={204: None, **problems(404)})
    def post(self, request: Request, name: str) -> Any:
        """Let the flow start executions again; no new version."""
        return switch(request, name, on=True)


class DisableView(APIView):
    """Where a flow is switched off."""

    @extend_schema(operation_id="disableFlow", tags=["flow"], request=None, responses={204: None, **problems(404)})
    def post(self, request: Request, name: str) -> Any:
        """Let the flow start nothing; what runs goes on, and no new version is made."""
        return switch(request, name, on=False)


def switch(request: Request, name: str, *, on: bool) -> Any:
    with transaction.atomic():
        if not saving.set_enabled(name, on):
            raise not_found(f"flow {name!r}")
        record(caller(request), "enabled" if on else "disabled", "flow", name)
    log.info("flow_enabled" if on else "flow_disabled", flow=name)
    return empty(204)


def current_version(name: str) -> str:
    """The id of the version that runs; '' where there is no such flow."""
    return Flow.objects.filter(name=name).values_list("version_id", flat=True).first() or ""


def version_of(name: str, version_id: str) -> FlowVersion:
    """The flow's version of this id. Raises `Problem` 404."""
    version = FlowVersion.objects.filter(flow_name=name, id=version_id).first()
    if version is None:
        raise not_found(f"version {version_id!r} of flow {name!r}")
    return version


def etag(version_id: str) -> str:
    """A version's id as HTTP's `ETag` has it."""
    return f'"{version_id}"'


def version_summary(version: FlowVersion, current: str, links: Links) -> dict[str, Any]:
    """`VersionSchema` of a version."""
    shown: dict[str, Any] = {"uuid": version.id, "savedAt": to_text(version.saved_at)}
    shown |= {key: value for key, value in (("savedBy", version.saved_by), ("note", version.note)) if value}
    if version.id == current:
        shown["current"] = True
    return shown | {"links": [links.to("self", "v1", "flows", version.flow_name, "versions", version.id)]}
