"""The flow editor: a flow's text, saved as a new version; concurrent changes are detected."""

from dataclasses import dataclass, field

import structlog
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlencode

from flows.console.base import (
    ADD,
    CHANGE,
    ENABLE,
    VIEW,
    VIEW_EVENT,
    flow_context,
    flow_url,
    get_flow_or_404,
)
from flows.console.forms import FlowForm
from flows.definition import FlowDefinition, FlowIssue, store
from flows.definition.diff import TextDiff, diff_texts
from flows.definition.editor.report import (
    ERROR,
    MEDIA_TYPES,
    LocatedIssue,
    ValidationReport,
    get_version_text,
    locate_steps,
    validate_text,
)
from flows.diagram import make_step_anchor, render_diagram
from flows.models import MAX_NOTE_LENGTH, Flow, FlowVersion
from flyte_site.auth.activity_log import actor_of_user, log_activity
from flyte_site.console.pages import render_page, require_perm
from flyte_site.db.conflicts import retry_conflicts

log = structlog.get_logger(__name__)

EXAMPLE_FLOW = """\
# A flow has steps. Each waits for an event from a pack, and then sends a command to a pack.
name: greet
description: Replies to the message “hello”
steps:
  - id: greet
    event:
      packName: Slack
      name: ReceivedMessage
    criteria: "{{ Event.Payload.message == 'hello' }}"
    command:
      packName: Slack
      name: SendMessage
      input:
        channelId: "{{ Event.Payload.channelId }}"
        message: "Hello, {{ Event.Payload.user.name }}"
"""


@dataclass
class EditorState:
    """The state of the editor: `flow` is None for a new flow. `expected` is the version that saving replaces.

    `new_name` is the document's name if it differs from the flow's; then `other_version` is the current version of the
    flow with that name. `conflicting_version` is the version that was saved meanwhile, `comparison` its diff with
    `text`.
    """

    flow: Flow | None
    text: str
    expected: str
    note: str = ""
    issues: list[LocatedIssue] = field(default_factory=list)
    new_name: str = ""
    other_version: str = ""
    has_conflict: bool = False
    conflicting_version: FlowVersion | None = None
    comparison: TextDiff | None = None


def add(request: HttpRequest) -> HttpResponse:
    """Show the editor for a new flow."""
    require_perm(request, ADD)
    if request.method == "POST":
        return handle_save(request, None)
    return render_editor(request, EditorState(None, EXAMPLE_FLOW, ""))


def change(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the editor of a flow; for users who cannot change it, its text."""
    require_perm(request, VIEW)
    if request.method == "POST":
        require_perm(request, CHANGE)
        return handle_save(
            request, Flow.objects.select_related("version").filter(pk=pk).first() if pk.isdecimal() else None
        )
    if version_id := request.GET.get("version"):
        return HttpResponseRedirect(flow_url("version", version_id[:24]))
    flow = get_flow_or_404(pk)
    return render_editor(request, EditorState(flow, get_version_text(flow.version), flow.version_id))


def render_editor(request: HttpRequest, state: EditorState) -> HttpResponse:
    """Render the editor page."""
    flow = state.flow
    report = validate_text(state.text, flow)
    head_context = flow_context(request, flow, "editor") if flow else {}
    issues = [*state.issues, *report.issues]
    errors = [issue for issue in issues if issue.kind == ERROR]
    context = {
        **head_context,
        "editing": state,
        "findings": issues,
        "not_saved": errors[0] if errors and request.method == "POST" else None,
        "language": report.language,
        "diagram": render_diagram(report.value) if isinstance(report.value, dict) else "",
        "editable": request.user.has_perm(CHANGE if flow else ADD),
        "can_try": request.user.has_perm(CHANGE) and request.user.has_perm(VIEW_EVENT),
        "draft_key": f"flyte.draft.{request.user.pk}.{flow.pk if flow else 'new'}",
        "lines": {make_step_anchor(step.id): step.line for step in locate_steps(report)},
        "max_note": MAX_NOTE_LENGTH,
    }
    return render_page(request, "console/flow_editor.html", flow.name if flow else "New flow", context)


def handle_save(request: HttpRequest, flow: Flow | None) -> HttpResponse:
    """Save the submitted flow, or show the editor again with it and its errors."""
    form = FlowForm(request.POST)
    form.is_valid()
    state = EditorState(
        flow, form.submitted_value("text"), form.submitted_value("expected"), form.submitted_value("note")
    )
    if form.errors:
        form_messages = [str(message) for messages in form.errors.values() for message in messages]
        state.issues = [LocatedIssue(ERROR, "", message, 1, 1) for message in form_messages]
        return render_editor(request, state)
    report = validate_text(state.text, flow)
    if report.definition is None:
        return render_editor(request, state)
    return _save_document(request, state, form, report, report.definition)


def _save_document(
    request: HttpRequest, state: EditorState, form: FlowForm, report: ValidationReport, definition: FlowDefinition
) -> HttpResponse:
    flow = state.flow
    is_renamed = flow is not None and definition.name != flow.name
    target = (
        Flow.objects.select_related("version").filter(name=definition.name).first() if is_renamed or not flow else flow
    )
    if is_renamed and form.submitted_value("save_as") != definition.name:
        state.new_name, state.other_version = definition.name, target.version_id if target else ""
        return render_editor(request, state)
    require_perm(request, CHANGE if target else ADD)
    if target and _has_enabled_change(target, definition) and not request.user.has_perm(ENABLE):
        enabled_state = "enabled" if target.enabled else "disabled"
        message = f"the flow is {enabled_state} and you are not allowed to change that; remove this line"
        report.add_issues(ERROR, [FlowIssue("enabled", message)])
        state.issues = report.errors
        return render_editor(request, state)
    if target and state.text == get_version_text(target.version) and not _has_enabled_change(target, definition):
        messages.info(request, "Nothing has changed, so no version was saved.")
        return HttpResponseRedirect(flow_url("change", target.pk))
    expected = form.submitted_value("other_version") if is_renamed else state.expected
    try:
        saved = _save_version(request, definition, report, state.note, expected, target)
    except store.VersionConflictError as conflict:
        return render_editor(
            request, _mark_conflict(state, definition, conflict.current_version_id, is_renamed=is_renamed)
        )
    _add_saved_message(request, saved, report)
    query = urlencode({"saved": flow.pk if flow else "new"})
    return HttpResponseRedirect(f"{flow_url('change', saved.pk)}?{query}")


def _has_enabled_change(target: Flow, definition: FlowDefinition) -> bool:
    """Return whether saving the document enables or disables the flow."""
    return definition.enabled is not None and definition.enabled != target.enabled


@retry_conflicts
def _save_version(
    request: HttpRequest,
    definition: FlowDefinition,
    report: ValidationReport,
    note: str,
    expected: str,
    current_flow: Flow | None,
) -> Flow:
    actor = actor_of_user(request)
    with transaction.atomic():
        flow = store.save_flow(
            definition,
            source=report.text,
            media_type=MEDIA_TYPES[report.language],
            saved_by=actor.name,
            note=note,
            expected_version_id=expected,
        )
        log_activity(actor, "saved", "flow", flow.name, version=flow.version_id, note=note)
        if current_flow and _has_enabled_change(current_flow, definition):
            log_activity(actor, "enabled" if flow.enabled else "disabled", "flow", flow.name)
    log.info("flow_saved", flow=flow.name, version=flow.version_id, by=actor.name)
    return flow


def _mark_conflict(
    state: EditorState, definition: FlowDefinition, current_version_id: str, *, is_renamed: bool
) -> EditorState:
    """Add the version that was saved meanwhile, to show both."""
    state.has_conflict = True
    state.conflicting_version = (
        FlowVersion.objects.filter(id=current_version_id).first() if current_version_id else None
    )
    if is_renamed:
        state.new_name, state.other_version = definition.name, current_version_id
    else:
        state.expected = current_version_id
    if state.conflicting_version:
        state.comparison = diff_texts(get_version_text(state.conflicting_version), state.text)
    return state


def _add_saved_message(request: HttpRequest, flow: Flow, report: ValidationReport) -> None:
    effect = "It is active." if flow.enabled else "It is disabled."
    warning_count = sum(1 for issue in report.issues if issue.kind != ERROR)
    warning_note = (
        f" There {'is one warning' if warning_count == 1 else f'are {warning_count} warnings'} below."
        if warning_count
        else ""
    )
    messages.success(request, f"The flow {flow.name} was saved. {effect}{warning_note}")
