"""Registration of the audit's console pages: executions, events, packs and approvals, all read-only."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern

from audit.views import approvals, events, executions, packs
from flows.models import Event, Execution
from flyte_site.console.model_admin import ConsoleModelAdmin
from packs.models import Approval, Pack


class ReadOnlyAdmin(ConsoleModelAdmin):
    """A model that the console shows but nobody edits: only the engine and the packs write it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """The pages of executions."""

    kind = "execution"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.build_url("", executions.execution_list, "changelist"),
            self.build_url("<str:execution_id>/", executions.execution_page, "change"),
            self.build_url("<str:execution_id>/now", executions.execution_fragment, "now"),
            self.build_url("<str:execution_id>/cancel", executions.cancel_execution, "cancel"),
            self.build_url("<str:execution_id>/replay", executions.replay_execution, "replay"),
            self.build_url("<str:execution_id>/retry/<path:step_id>", executions.retry_step, "retry"),
        ]


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The pages of events."""

    kind = "event"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.build_url("", events.event_list, "changelist"),
            self.build_url("<str:event_id>/", events.event_page, "change"),
        ]


@admin.register(Pack)
class PackAdmin(ReadOnlyAdmin):
    """The pages of packs. Registered here because they also show flows and events, which the app `packs` must not
    import.
    """

    kind = "pack"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.build_url("", packs.pack_list, "changelist"),
            self.build_url("<str:pk>/", packs.pack_page, "change"),
            self.build_url("<str:pk>/delete", packs.delete_pack, "delete"),
            self.build_url("<str:pk>/resources", packs.pack_resources, "resources"),
        ]


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """The pages of approvals: open questions and past decisions."""

    kind = "approval"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.build_url("", approvals.approval_list, "changelist"),
            self.build_url("<str:action_id>/", approvals.approval_page, "change"),
            self.build_url("<str:action_id>/decide", approvals.decide, "decide"),
        ]
