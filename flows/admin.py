"""Console pages of flows, and their URLs."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from flows.console import actions, diagnostics, editor, editor_api, flow_list, versions
from flows.models import Flow
from flyte_site.console.model_admin import ConsoleModelAdmin


@admin.register(Flow)
class FlowAdmin(ConsoleModelAdmin):
    """Flows: editing, dry runs, versions, enabling and disabling."""

    kind = "flow"

    def get_urls(self) -> list[URLPattern]:
        return [
            self._url_pattern("", flow_list.list_flows, "changelist"),
            self._url_pattern("add/", editor.add, "add"),
            self._url_pattern("check/", editor_api.check_text, "check"),
            self._url_pattern("convert/", editor_api.convert, "convert"),
            self._url_pattern("words/", editor_api.list_words, "words"),
            self._url_pattern("events/", editor_api.list_recent_events, "events"),
            self._url_pattern("try/", editor_api.dry_run_text, "try"),
            self._url_pattern("version/<str:version_id>/", versions.show_version, "version"),
            # The URL name that Django's admin would use; other apps refer to it.
            self._url_pattern("version/<str:version_id>/", versions.show_version, "change", model_name="flowversion"),
            self._url_pattern("version/<str:version_id>/restore/", versions.restore_version, "restore"),
            self._url_pattern("<str:pk>/change/", editor.change, "change"),
            self._url_pattern("<str:pk>/versions/", versions.version_list, "versions"),
            self._url_pattern("<str:pk>/why/", diagnostics.diagnose_flow, "why"),
            self._url_pattern("<str:pk>/enable/", actions.enable, "enable"),
            self._url_pattern("<str:pk>/disable/", actions.disable, "disable"),
            self._url_pattern("<str:pk>/delete/", actions.delete, "delete"),
            self._url_pattern("<str:object_id>/history/", self._history, "history"),
        ]

    def _url_pattern(
        self, route: str, view: Callable[..., HttpResponse], name: str, model_name: str = "flow"
    ) -> URLPattern:
        return path(route, self.admin_site.admin_view(view), name=f"flows_{model_name}_{name}")

    def _history(self, request: HttpRequest, object_id: str) -> Any:
        return self.history_view(request, object_id)
