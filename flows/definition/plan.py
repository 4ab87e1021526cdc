"""Flows kept as files: the changes that saving a text would make, and export of a flow as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from flows.definition import FlowDefinition
from flows.definition.diff import MAX_COMPARED_LINES, find_changed_range
from flows.definition.editor.report import (
    WARNING,
    ValidationReport,
    find_enabled_change,
    get_version_text,
    validate_text,
)
from flows.models import Flow
from flyte_site.http.content_types import to_yaml

NEW, CHANGED, UNCHANGED = "new", "changed", "same"
MAX_DIFF_LENGTH = 200_000


@dataclass(frozen=True)
class SavePlan:
    """A validated text, and the effect of saving it: `change` is `new`, `changed` or `same`; '' if it has errors.
    `version` is the flow's current one, '' for a new flow; `diff` is unified, of both documents as YAML.
    """

    report: ValidationReport
    change: str = ""
    version: str = ""
    diff: str = ""


def plan_save(text: str) -> SavePlan:
    """Compare the text with the flow of its name. Writes nothing."""
    report = validate_text(text)
    definition = report.definition
    if definition is None:
        return SavePlan(report)
    flow = Flow.objects.select_related("version").filter(name=definition.name).first()
    if flow is None:
        return SavePlan(
            report,
            NEW,
            diff=_build_diff(definition.name, {}, _build_display_document(definition.document, definition.enabled)),
        )
    report.add_issues(WARNING, find_enabled_change(definition, flow))
    current_document = _build_display_document(flow.version.document, flow.enabled)
    planned_document = _build_display_document(
        definition.document, flow.enabled if definition.enabled is None else definition.enabled
    )
    if current_document == planned_document:
        return SavePlan(report, UNCHANGED, flow.version_id)
    return SavePlan(report, CHANGED, flow.version_id, _build_diff(definition.name, current_document, planned_document))


def _build_display_document(document: Mapping[str, Any], enabled: bool | None) -> dict[str, Any]:
    """Return a document as people write it, without the default `enabled: true`."""
    display = dict(document)
    steps = display.pop("steps", None)
    display |= {"enabled": False} if enabled is False else {}
    return display | ({"steps": steps} if steps else {})


def _build_diff(name: str, current_document: Mapping[str, Any], planned_document: Mapping[str, Any]) -> str:
    before, after = (
        to_yaml(document).splitlines(keepends=True) if document else []
        for document in (current_document, planned_document)
    )
    title = name.replace("\n", " ")
    start, before_end, after_end = find_changed_range(before, after)
    if min(before_end, after_end) - start > MAX_COMPARED_LINES:
        return f"{title}: {max(before_end, after_end) - start:,} lines changed; too many for a diff\n"
    text = "".join(
        unified_diff(before, after, f"{title} (now)" if current_document else "/dev/null", f"{title} (then)")
    )
    return text if len(text) <= MAX_DIFF_LENGTH else f"{text[:MAX_DIFF_LENGTH]}\n… diff truncated\n"


def export_flow(flow: Flow) -> str:
    """Return the flow as text: as written, with comments, if that text still describes it; else formatted from the
    document.
    """
    saved_text = get_version_text(flow.version)
    disabled_text = saved_text if saved_text.lstrip().startswith("{") else f"enabled: false\n{saved_text}"
    return next(
        (text for text in (saved_text, disabled_text) if _is_equivalent(text, flow)),
        to_yaml(_get_current_document(flow)),
    )


def _get_current_document(flow: Flow) -> dict[str, Any]:
    return _build_display_document(flow.version.document, flow.enabled)


def _is_equivalent(text: str, flow: Flow) -> bool:
    """Return whether saving this text on a server without the flow would create this flow."""
    definition: FlowDefinition | None = validate_text(text).definition
    return definition is not None and _build_display_document(
        definition.document, definition.enabled
    ) == _get_current_document(flow)
