"""Console pages of flows, and their URLs."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern

from flows.console import actions, diagnostics, editor, editor_api, flow_list, versions
from flows.models import Flow
from flyte_site.console.model_admin import ConsoleModelAdmin


@admin.register(Flow)
class FlowAdmin(ConsoleModelAdmin):
    """Flows: editing, dry runs, versions, enabling and disabling."""

    kind = "flow"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.build_url("", flow_list.list_flows, "changelist"),
            self.build_url("add/", editor.add, "add"),
            self.build_url("check/", editor_api.check_text, "check"),
            self.build_url("convert/", editor_api.convert, "convert"),
            self.build_url("words/", editor_api.list_words, "words"),
            self.build_url("events/", editor_api.list_recent_events, "events"),
            self.build_url("try/", editor_api.dry_run_text, "try"),
            self.build_url("version/<str:version_id>/", versions.show_version, "version"),
            # The URL name that Django's admin would use; other apps refer to it.
            self.build_url("version/<str:version_id>/", versions.show_version, "change", model_name="flowversion"),
            self.build_url("version/<str:version_id>/restore/", versions.restore_version, "restore"),
            self.build_url("<str:pk>/change/", editor.change, "change"),
            self.build_url("<str:pk>/versions/", versions.version_list, "versions"),
            self.build_url("<str:pk>/why/", diagnostics.diagnose_flow, "why"),
            self.build_url("<str:pk>/enable/", actions.enable, "enable"),
            self.build_url("<str:pk>/disable/", actions.disable, "disable"),
            self.build_url("<str:pk>/delete/", actions.delete, "delete"),
            self.build_url("<str:object_id>/history/", self._history, "history"),
        ]

    def _history(self, request: HttpRequest, object_id: str) -> Any:
        return self.history_view(request, object_id)
