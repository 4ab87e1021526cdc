"""Views of the API as a whole: entry points, health check and documentation."""

import sqlite3
from functools import cache
from typing import Any

import structlog
from django.db import DEFAULT_DB_ALIAS, Error, connection, connections
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flyte_site.core.observability.safe_tracebacks import safe_database_message
from flyte_site.core.outage_log import outage_log
from flyte_site.db.sqlite.base import DatabaseWrapper as SQLiteDatabase
from flyte_site.http.content_types import JSON_TYPE, YAML_TYPES, empty_response, prefers_html, to_yaml
from flyte_site.http.input.fields import LinkSerializer, problem_responses
from flyte_site.http.output.negotiation import JSONRenderer
from flyte_site.http.output.serializers import OutputSerializer
from flyte_site.http.problems import Problem
from flyte_site.http.views import APIView
from flyte_site.http.write_probe import get_write_probe

log = structlog.get_logger(__name__)


class LinksSchema(OutputSerializer):
    """A response that only has links."""

    links = LinkSerializer(many=True)


class IndexView(APIView):
    """The entry point of the API."""

    @extend_schema(
        operation_id="index",
        summary="Get the API's entry point",
        tags=["info"],
        responses={200: LinksSchema, 302: None},
    )
    def get(self, request: Request) -> Any:
        """Return the link to version 1 of the API, or redirect a browser to the console."""
        if prefers_html(request._request):
            return HttpResponseRedirect("/admin/", headers={"Vary": "Accept"})
        links = self.links
        entries = [links.to("self"), links.help("#/info"), links.documented("#!/info/v1", "v1")]
        return self.respond(LinksSchema, {"links": entries})


class V1View(APIView):
    """The resources of version 1."""

    @extend_schema(operation_id="v1", summary="List the resources of version 1", tags=["info"], responses=LinksSchema)
    def get(self, request: Request) -> Response:
        """Return links to health, packs, flows, datastore, audit and documentation."""
        links = self.links
        entries = [
            links.to("self", "v1"),
            links.to("up"),
            links.help("#!/info/v1"),
            links.documented("#!/info/health", "health"),
            links.documented("#!/pack/listPacks", "v1", "packs"),
            links.documented("#!/flow/listFlows", "v1", "flows"),
            links.documented("#!/datastore/listDatastoreItems", "v1", "datastore"),
            links.documented("#!/flowAudit/findFlows", "v1", "audit", "flows"),
            links.documented("", "v1", "swagger"),
        ]
        return self.respond(LinksSchema, {"links": entries})


class HealthView(APIView):
    """The health check."""

    @extend_schema(
        operation_id="health",
        summary="Check the server's health",
        tags=["info"],
        responses={200: None, **problem_responses(500)},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return 200 if the database is available, else 500."""
        _require_database()
        return empty_response(200)


class ReadinessView(APIView):
    """The check that the server can store what it accepts."""

    @extend_schema(
        operation_id="healthReady",
        summary="Check that the server can store events",
        tags=["info"],
        responses={200: None, **problem_responses(500)},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return 200 if a write succeeded in the last 10 seconds, else 500 with the reason."""
        _require_database()
        if reason := get_write_probe().find_error():
            raise Problem(500, f"the database can't store anything: {reason}")
        return empty_response(200)


def _require_database() -> None:
    """Check that the database responds, and that SQLite's file is still there. Raises `Problem` 500."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        wrapper = connections[DEFAULT_DB_ALIAS]
        if isinstance(wrapper, SQLiteDatabase):
            wrapper.check_file()
    except Error as error:
        outage_log().record(safe_database_message(error))
        raise Problem(500, "the database is unavailable") from None
    except sqlite3.OperationalError as error:
        outage_log().record(str(error))
        raise Problem(500, str(error)) from None


@require_safe
def openapi_document(request: HttpRequest, media_type: str) -> HttpResponse:
    """Return the OpenAPI 3 document of the API, generated from the code: YAML, or JSON if the caller prefers it."""
    is_json = request.get_preferred_type([media_type.partition(";")[0], *YAML_TYPES, JSON_TYPE]) == JSON_TYPE
    content_type = f"{JSON_TYPE}; charset=utf-8" if is_json else media_type
    return HttpResponse(_render_openapi(is_json), content_type=content_type, headers={"Vary": "Accept"})


@cache
def _render_openapi(is_json: bool) -> bytes | str:
    """Render the document, which takes a third of a second, once per process and format."""
    schema = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return JSONRenderer().render(schema) if is_json else to_yaml(schema)


@require_safe
def swagger_ui(request: HttpRequest) -> HttpResponse:
    """Render Swagger UI, with its files served from this server."""
    return render(request, "swagger.html")


@require_safe
def redirect_to_swagger_ui(request: HttpRequest) -> HttpResponse:
    """Redirect from the path of Swagger UI in the original server."""
    return HttpResponsePermanentRedirect("/swagger")
