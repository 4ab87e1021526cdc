"""The editor: a flow's text, saved as a new version, whatever else happened meanwhile."""

from dataclasses import dataclass, field

import structlog
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import urlencode

from flows import saving
from flows.checking import ERROR, MEDIA_TYPES, Checked, Marked, check, steps_of, text_of
from flows.comparison import Comparison, compare
from flows.document import FlowDefinition, FlowIssue
from flows.drawing import render_diagram
from flows.forms import FlowForm
from flows.models import MAX_NOTE, Flow, FlowVersion
from flows.pages.frame import ADD, CHANGE, ENABLE, VIEW, VIEW_EVENT, around_flow, find, need, show, url
from flyte_site.changes import person, record

log = structlog.get_logger(__name__)

EXAMPLE = """\
# A flow has steps. Each waits for an event of a pack, and then gives a command to one.
name: greet
description: Says what it does, for whoever finds it later
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
class Editing:
    """The editor as it is shown: `flow` is None for a new one. `expected` is the version that saving replaces.

    `rename` is the document's name where it is not the flow's; then `other_version` is what that flow is on. `theirs`
    is the version that somebody saved meanwhile, `comparison` what leads from it to `text`.
    """

    flow: Flow | None
    text: str
    expected: str
    note: str = ""
    findings: list[Marked] = field(default_factory=list)
    rename: str = ""
    other_version: str = ""
    conflict: bool = False
    theirs: FlowVersion | None = None
    comparison: Comparison | None = None


def add(request: HttpRequest) -> HttpResponse:
    """The editor for a flow that is not there yet."""
    need(request, ADD)
    if request.method == "POST":
        return save(request, None)
    return page(request, Editing(None, EXAMPLE, ""))


def change(request: HttpRequest, pk: str) -> HttpResponse:
    """The editor of a flow; for those who may not change it, its text."""
    need(request, VIEW)
    if request.method == "POST":
        need(request, CHANGE)
        return save(request, Flow.objects.select_related("version").filter(pk=pk).first() if pk.isdecimal() else None)
    if version_id := request.GET.get("version"):
        return HttpResponseRedirect(url("version", version_id[:24]))
    flow = find(pk)
    return page(request, Editing(flow, text_of(flow.version), flow.version_id))


def page(request: HttpRequest, editing: Editing) -> HttpResponse:
    """The page with the editor on it."""
    flow = editing.flow
    checked = check(editing.text, flow)
    around = around_flow(request, flow, "editor") if flow else {}
    findings = [*editing.findings, *checked.findings]
    errors = [one for one in findings if one.kind == ERROR]
    context = {
        **around,
        "editing": editing,
        "findings": findings,
        "not_saved": errors[0] if errors and request.method == "POST" else None,
        "language": checked.language,
        "drawing": render_diagram(checked.value) if isinstance(checked.value, dict) else "",
        "editable": request.user.has_perm(CHANGE if flow else ADD),
        "can_try": request.user.has_perm(CHANGE) and request.user.has_perm(VIEW_EVENT),
        "draft_key": f"flyte.draft.{request.user.pk}.{flow.pk if flow else 'new'}",
        "lines": {step.anchor: step.line for step in steps_of(checked)},
        "max_note": MAX_NOTE,
    }
    return show(request, "flow_editor", flow.name if flow else "New flow", context)


def save(request: HttpRequest, flow: Flow | None) -> HttpResponse:
    """Save what was sent; or the editor again with it, and with what keeps it from being saved."""
    form = FlowForm(request.POST)
    form.is_valid()
    editing = Editing(flow, form.value("text"), form.value("expected"), form.value("note"))
    if form.errors:
        told = [str(message) for messages in form.errors.values() for message in messages]
        editing.findings = [Marked(ERROR, "", message, 1, 1) for message in told]
        return page(request, editing)
    checked = check(editing.text, flow)
    if checked.document is None:
        return page(request, editing)
    return _save(request, editing, form, checked, checked.document)


def _save(
    request: HttpRequest, editing: Editing, form: FlowForm, checked: Checked, document: FlowDefinition
) -> HttpResponse:
    flow = editing.flow
    renamed = flow is not None and document.name != flow.name
    target = Flow.objects.select_related("version").filter(name=document.name).first() if renamed or not flow else flow
    if renamed and form.value("save_as") != document.name:
        editing.rename, editing.other_version = document.name, target.version_id if target else ""
        return page(request, editing)
    need(request, CHANGE if target else ADD)
    if target and _switches(target, document) and not request.user.has_perm(ENABLE):
        state = "enabled" if target.enabled else "disabled"
        message = f"the flow is {state}, and you may not change that; leave this line out"
        checked.mark(ERROR, [FlowIssue("enabled", message)])
        editing.findings = checked.errors
        return page(request, editing)
    if target and editing.text == text_of(target.version) and not _switches(target, document):
        messages.info(request, "Nothing has changed: there is no new version.")
        return HttpResponseRedirect(url("change", target.pk))
    expected = form.value("other_version") if renamed else editing.expected
    try:
        saved = _write(request, document, checked, editing.note, expected, target)
    except saving.ConflictError as conflict:
        return page(request, _in_conflict(editing, document, conflict.current, renamed=renamed))
    _tell(request, saved, checked)
    query = urlencode({"saved": flow.pk if flow else "new"})
    return HttpResponseRedirect(f"{url('change', saved.pk)}?{query}")


def _switches(target: Flow, document: FlowDefinition) -> bool:
    """Whether saving the document enables or disables the flow."""
    return document.enabled is not None and document.enabled != target.enabled


def _write(
    request: HttpRequest, document: FlowDefinition, checked: Checked, note: str, expected: str, before: Flow | None
) -> Flow:
    who = person(request)
    with transaction.atomic():
        flow = saving.save(
            document,
            source=checked.text,
            media_type=MEDIA_TYPES[checked.language],
            saved_by=who.name,
            note=note,
            expected=expected,
        )
        record(who, "saved", "flow", flow.name, version=flow.version_id, note=note)
        if before and _switches(before, document):
            record(who, "enabled" if flow.enabled else "disabled", "flow", flow.name)
    log.info("flow_saved", flow=flow.name, version=flow.version_id, by=who.name)
    return flow


def _in_conflict(editing: Editing, document: FlowDefinition, current: str, *, renamed: bool) -> Editing:
    """What was to be saved, now upon the version that came between; nothing of either is lost."""
    editing.conflict = True
    editing.theirs = FlowVersion.objects.filter(id=current).first() if current else None
    if renamed:
        editing.rename, editing.other_version = document.name, current
    else:
        editing.expected = current
    if editing.theirs:
        editing.comparison = compare(text_of(editing.theirs), editing.text)
    return editing


def _tell(request: HttpRequest, flow: Flow, checked: Checked) -> None:
    state = "It runs from now on." if flow.enabled else "It is disabled, and starts nothing."
    count = sum(1 for one in checked.findings if one.kind != ERROR)
    warned = f" There {'is one warning' if count == 1 else f'are {count} warnings'} below." if count else ""
    messages.success(request, f"The flow {flow.name} is saved. {state}{warned}")
