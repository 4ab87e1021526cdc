"""Every route of the server."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path, register_converter
from django.views.generic import RedirectView

from audit import api as audit
from audit import home
from audit.metrics import MetricsView
from datastore import api as datastore
from flows import api as flows
from flows import version_api as versions
from flyte_site.console.errors import answer
from flyte_site.rest import pages
from flyte_site.rest.paths import NameConverter
from flyte_site.rest.problems import Problem, problem_of
from packs import api as packs
from packs.webapi import api as approvals

register_converter(NameConverter, "name")
admin.autodiscover()

v1 = [
    path("swagger", pages.openapi, {"media_type": "application/vnd.yaml; charset=utf-8"}),
    path("packs", packs.PackListView.as_view()),
    path("packs/<name:pack_id>", packs.PackView.as_view()),
    path("packs/<name:pack_id>/events", flows.EventView.as_view()),
    path("packs/<name:pack_id>/actions/take", packs.TakeView.as_view()),
    path("packs/<name:pack_id>/actions/<name:action_id>/result", flows.ResultView.as_view()),
    path("packs/<name:pack_id>/actions/<name:action_id>/heartbeat", flows.HeartbeatView.as_view()),
    path("flows", flows.FlowListView.as_view()),
    path("flows/dry-run", flows.DryRunView.as_view()),
    path("flows/<name:name>", flows.FlowView.as_view()),
    path("flows/<name:name>/enable", versions.EnableView.as_view()),
    path("flows/<name:name>/disable", versions.DisableView.as_view()),
    path("flows/<name:name>/versions", versions.VersionListView.as_view()),
    path("flows/<name:name>/versions/<name:version_id>", versions.VersionView.as_view()),
    path("flows/<name:name>/versions/<name:version_id>/restore", versions.RestoreView.as_view()),
    path("datastore", datastore.DatastoreView.as_view()),
    path("datastore/<name:key>", datastore.ItemView.as_view()),
    path("approvals", approvals.ApprovalListView.as_view()),
    path("approvals/<name:action_id>", approvals.ApprovalView.as_view()),
    path("audit/flows", audit.ExecutionListView.as_view()),
    path("audit/flows/<name:correlation_id>", audit.ExecutionView.as_view()),
    path("audit/flows/<name:correlation_id>/cancel", flows.CancelView.as_view()),
    path("audit/flows/<name:correlation_id>/replay", flows.ReplayView.as_view()),
    path("audit/flows/<name:correlation_id>/steps/<name:step_id>/retry", flows.RetryView.as_view()),
    path("audit/events", audit.EventListView.as_view()),
    path("audit/events/<name:event_id>", audit.EventView.as_view()),
]

urlpatterns = [
    path("", pages.IndexView.as_view()),
    path("v1", pages.V1View.as_view()),
    path("v1/", include(v1)),
    path("health", pages.HealthView.as_view()),
    path("metrics", MetricsView.as_view()),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.admin_view(home.home)),
    path("admin/now", admin.site.admin_view(home.home_now), name="home_now"),
    path("admin/", admin.site.urls),
    path("swagger", pages.documentation),
    path("swagger/index.html", pages.documentation_moved),
    path("swagger-config/v1.yml", pages.openapi, {"media_type": "application/x-yaml"}),
]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 for what Django refuses before any view, such as a `Host` header that names no host."""
    return answer(request, problem_of(exception) or Problem(400))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 for a path that no route has."""
    return answer(request, Problem(404, "there is nothing at this path"))


def defect(request: HttpRequest) -> HttpResponse:
    """500 for a defect outside the views; those inside are `ProblemMiddleware`'s."""
    return answer(request, Problem(500, "the server has a defect here; its log says more"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 for who is signed in and may not do this."""
    return answer(request, Problem(403))


handler400 = bad_request
handler403 = forbidden
handler404 = not_found
handler500 = defect
