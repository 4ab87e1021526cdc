"""Every route of the server."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, register_converter

from audit import api as audit
from datastore import api as datastore
from flows import api as flows
from flyte_site.rest import pages
from flyte_site.rest.paths import NameConverter
from flyte_site.rest.problems import Problem
from packs import api as packs

register_converter(NameConverter, "name")

v1 = [
    path("swagger", pages.openapi, {"media_type": "application/vnd.yaml"}),
    path("packs", packs.PackListView.as_view()),
    path("packs/<name:pack_id>", packs.PackView.as_view()),
    path("packs/<name:pack_id>/events", flows.EventView.as_view()),
    path("packs/<name:pack_id>/actions/take", packs.TakeView.as_view()),
    path("packs/<name:pack_id>/actions/<name:action_id>/result", flows.ResultView.as_view()),
    path("flows", flows.FlowListView.as_view()),
    path("flows/<name:name>", flows.FlowView.as_view()),
    path("datastore", datastore.DatastoreView.as_view()),
    path("datastore/<name:key>", datastore.ItemView.as_view()),
    path("audit/flows", audit.ExecutionListView.as_view()),
    path("audit/flows/<name:correlation_id>", audit.ExecutionView.as_view()),
    path("audit/events", audit.EventListView.as_view()),
    path("audit/events/<name:event_id>", audit.EventView.as_view()),
]

urlpatterns = [
    path("", pages.IndexView.as_view()),
    path("v1", pages.V1View.as_view()),
    path("v1/", include(v1)),
    path("health", pages.HealthView.as_view()),
    path("swagger", pages.documentation),
    path("swagger/index.html", pages.documentation_moved),
    path("swagger-config/v1.yml", pages.openapi, {"media_type": "application/x-yaml"}),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 for a path that no route has."""
    return Problem(404, "there is nothing at this path").response()


handler404 = not_found
