"""All routes of the server."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from audit import api as audit
from audit.prometheus import MetricsView
from audit.views import home
from datastore import api as datastore
from flows.api import events, flows, runs, versions
from flyte_site.console.error_pages import error_response
from flyte_site.http import root_views
from flyte_site.http.paths import NameConverter
from flyte_site.http.problems import Problem, internal_error_detail, to_problem
from packs import api as packs
from packs.approvals import api as approvals

register_converter(NameConverter, "name")
admin.autodiscover()

v1_patterns = [
    path("swagger", root_views.openapi_document, {"media_type": "application/vnd.yaml; charset=utf-8"}),
    path("packs", packs.PackListView.as_view()),
    path("packs/<name:pack_id>", packs.PackView.as_view()),
    path("packs/<name:pack_id>/events", events.PostEventView.as_view()),
    path("packs/<name:pack_id>/actions/take", packs.TakeView.as_view()),
    path("packs/<name:pack_id>/actions/<name:action_id>/result", events.PostResultView.as_view()),
    path("packs/<name:pack_id>/actions/<name:action_id>/heartbeat", events.HeartbeatView.as_view()),
    path("flows", flows.FlowListView.as_view()),
    path("flows/dry-run", flows.DryRunView.as_view()),
    path("flows/<name:name>", flows.FlowView.as_view()),
    path("flows/<name:name>/enable", versions.EnableView.as_view()),
    path("flows/<name:name>/disable", versions.DisableView.as_view()),
    path("flows/<name:name>/versions", versions.VersionListView.as_view()),
    path("flows/<name:name>/versions/<name:version_id>", versions.VersionView.as_view()),
    path("flows/<name:name>/versions/<name:version_id>/restore", versions.RestoreView.as_view()),
    path("datastore", datastore.ItemListView.as_view()),
    path("datastore/<name:key>", datastore.ItemView.as_view()),
    path("approvals", approvals.ApprovalListView.as_view()),
    path("approvals/<name:action_id>", approvals.ApprovalView.as_view()),
    path("audit/flows", audit.ExecutionListView.as_view()),
    path("audit/flows/<name:correlation_id>", audit.ExecutionDetailView.as_view()),
    path("audit/flows/<name:correlation_id>/cancel", runs.CancelExecutionView.as_view()),
    path("audit/flows/<name:correlation_id>/replay", runs.ReplayEventView.as_view()),
    path("audit/flows/<name:correlation_id>/steps/<name:step_id>/retry", runs.RetryStepView.as_view()),
    path("audit/events", audit.EventListView.as_view()),
    path("audit/events/<name:event_id>", audit.EventDetailView.as_view()),
]

urlpatterns = [
    path("", root_views.IndexView.as_view()),
    path("v1", root_views.V1View.as_view()),
    path("v1/", include(v1_patterns)),
    path("health", root_views.HealthView.as_view()),
    path("health/ready", root_views.ReadinessView.as_view()),
    path("metrics", MetricsView.as_view()),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.admin_view(home.home)),
    path("admin/now", admin.site.admin_view(home.home_fragment), name="home_now"),
    path("admin/", admin.site.urls),
    path("swagger", root_views.swagger_ui),
    path("swagger/index.html", root_views.redirect_to_swagger_ui),
    path("swagger-config/v1.yml", root_views.openapi_document, {"media_type": "application/x-yaml"}),
]

MAX_QUOTED_PATH = 100


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render 400 for a request that Django rejects before any view, such as one with an invalid `Host` header."""
    return error_response(request, to_problem(exception) or Problem(400))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render 404 for a path without a route."""
    path = request.path if len(request.path) <= MAX_QUOTED_PATH else f"{request.path[:MAX_QUOTED_PATH]}…"
    hint = "remove the trailing slash" if request.path.endswith("/") else "GET /v1 lists the resources of the API"
    return error_response(request, Problem(404, f"path {path!r} not found; {hint}"))


def server_error(request: HttpRequest) -> HttpResponse:
    """Render 500 for a defect outside the views; `ProblemMiddleware` handles those in views."""
    return error_response(request, Problem(500, internal_error_detail()))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render 403 for a signed-in user without the permission."""
    return error_response(request, Problem(403))


handler400 = bad_request
handler403 = permission_denied
handler404 = not_found
handler500 = server_error
