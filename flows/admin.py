"""The console's pages of flows, and where they are."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from flows.models import Flow
from flows.pages import changing, editing, listing, scripts, versions, why
from flyte_site.console.admin import ConsoleAdmin


@admin.register(Flow)
class FlowAdmin(ConsoleAdmin):
    """Flows: what is written, tried, saved, and switched on and off."""

    kind = "flow"

    def get_urls(self) -> list[URLPattern]:
        return [
            self._page("", listing.flow_list, "changelist"),
            self._page("add/", editing.add, "add"),
            self._page("check/", scripts.check_text, "check"),
            self._page("convert/", scripts.convert, "convert"),
            self._page("words/", scripts.known_words, "words"),
            self._page("events/", scripts.kept_events, "events"),
            self._page("try/", scripts.try_text, "try"),
            self._page("version/<str:version_id>/", versions.version, "version"),
            # As Django's admin would call it: other rooms ask for it by that name.
            self._page("version/<str:version_id>/", versions.version, "change", of="flowversion"),
            self._page("version/<str:version_id>/restore/", versions.restore, "restore"),
            self._page("<str:pk>/change/", editing.change, "change"),
            self._page("<str:pk>/versions/", versions.version_list, "versions"),
            self._page("<str:pk>/why/", why.why, "why"),
            self._page("<str:pk>/enable/", changing.enable, "enable"),
            self._page("<str:pk>/disable/", changing.disable, "disable"),
            self._page("<str:pk>/delete/", changing.delete, "delete"),
            self._page("<str:object_id>/history/", self._history, "history"),
        ]

    def _page(self, route: str, view: Callable[..., HttpResponse], name: str, of: str = "flow") -> URLPattern:
        return path(route, self.admin_site.admin_view(view), name=f"flows_{of}_{name}")

    def _history(self, request: HttpRequest, object_id: str) -> Any:
        return self.history_view(request, object_id)
