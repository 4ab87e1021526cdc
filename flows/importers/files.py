"""The server's flows as a store that `manage.py flows` synchronizes with files."""

from contextlib import AbstractContextManager

from django.db import transaction

from flow_files.errors import FlowFilesError, FlowStoreError
from flow_files.sync import FlowCheck, FlowFinding
from flows.definition import store
from flows.definition.editor.report import MEDIA_TYPES
from flows.definition.plan import export_flow, plan_save
from flows.models import Flow
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, log_activity


class LocalFlowStore:
    """The database as a `flow_files.sync.FlowStore`."""

    def check(self, text: str) -> FlowCheck:
        """Return the changes that saving the text would make."""
        plan = plan_save(text)
        report = plan.report
        issues = [
            FlowFinding(issue.kind, issue.path, issue.message, issue.line, issue.column) for issue in report.issues
        ]
        name = report.definition.name if report.definition else ""
        return FlowCheck(name, plan.change, plan.version, plan.diff, issues)

    def names(self) -> list[str]:
        """List the names of all flows."""
        return list(Flow.objects.order_by("name").values_list("name", flat=True))

    def text(self, name: str) -> str:
        """Return a flow as text that can be saved again. Raises `FlowStoreError` if it is not found."""
        flow = Flow.objects.select_related("version").filter(name=name).first()
        if flow is None:
            raise FlowFilesError(f"flow {name!r} not found")
        return export_flow(flow)

    def save(self, text: str, checked: FlowCheck, note: str) -> None:
        """Save the flow. Raises `FlowStoreError` if it is not on the version that was checked."""
        report = plan_save(text).report
        if report.definition is None:
            raise FlowStoreError(f"{checked.name}: the text is no longer a valid flow")
        version_fields = {
            "source": text,
            "media_type": MEDIA_TYPES[report.language],
            "saved_by": COMMAND_LINE_ACTOR.name,
            "note": note,
        }
        try:
            flow = store.save_flow(report.definition, expected_version_id=checked.version, **version_fields)
        except store.VersionConflictError as conflict:
            raise FlowStoreError(f"{checked.name}: {conflict}") from None
        log_activity(COMMAND_LINE_ACTOR, "saved", "flow", flow.name, version=flow.version_id, note=note)

    def delete(self, name: str) -> None:
        """Delete the flow if it exists."""
        if store.delete_flow(name):
            log_activity(COMMAND_LINE_ACTOR, "deleted", "flow", name)


def atomic() -> AbstractContextManager[object]:
    """Commit everything done in the block, or nothing."""
    return transaction.atomic()
