"""The audit's place in the console: executions, events and packs have pages of their own, and nobody edits them."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern, path

from audit import approval_pages, event_pages, execution_pages, pack_pages
from flows.models import Event, Execution
from flyte_site.console.admin import ConsoleAdmin
from packs.models import Approval, Pack


class ReadOnly(ConsoleAdmin):
    """A model that the console shows, and in which nobody writes: the engine does, or packs themselves."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def page(self, route: str, view: Any, name: str) -> URLPattern:
        """A page for people who are signed in; the view asks for what else it needs."""
        whole = f"{self.model._meta.app_label}_{self.model._meta.model_name}_{name}"
        found: URLPattern = path(route, self.admin_site.admin_view(view), name=whole)
        return found


@admin.register(Execution)
class ExecutionAdmin(ReadOnly):
    """Executions."""

    kind = "execution"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("", execution_pages.execution_list, "changelist"),
            self.page("<str:execution_id>/", execution_pages.execution_page, "change"),
            self.page("<str:execution_id>/now", execution_pages.execution_now, "now"),
            self.page("<str:execution_id>/cancel", execution_pages.cancel, "cancel"),
            self.page("<str:execution_id>/replay", execution_pages.replay, "replay"),
            self.page("<str:execution_id>/retry/<path:step_id>", execution_pages.retry, "retry"),
        ]


@admin.register(Event)
class EventAdmin(ReadOnly):
    """Events."""

    kind = "event"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("", event_pages.event_list, "changelist"),
            self.page("<str:event_id>/", event_pages.event_page, "change"),
        ]


@admin.register(Pack)
class PackAdmin(ReadOnly):
    """Packs. They stand here because their pages show flows and events too, of which the room `packs` knows nothing."""

    kind = "pack"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("", pack_pages.pack_list, "changelist"),
            self.page("<str:pk>/", pack_pages.pack_page, "change"),
            self.page("<str:pk>/delete", pack_pages.delete, "delete"),
            self.page("<str:pk>/resources", pack_pages.pack_resources, "resources"),
        ]


@admin.register(Approval)
class ApprovalAdmin(ReadOnly):
    """Questions that wait for a person, and what was decided."""

    kind = "approval"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("", approval_pages.approval_list, "changelist"),
            self.page("<str:action_id>/", approval_pages.approval_page, "change"),
            self.page("<str:action_id>/decide", approval_pages.decide, "decide"),
        ]
