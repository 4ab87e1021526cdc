"""What saving a flow's text would change, and a flow as a text that can be saved again: for flows kept as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from flows.definition import FlowDefinition
from flows.definition.validation import (
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
    """A text that was checked, and what saving it would do: `change` is `new`, `changed` or `same`; '' where it has
    errors. `version` is the one that the flow is on, '' for none; `diff` is unified, of both documents as YAML.
    """

    report: ValidationReport
    change: str = ""
    version: str = ""
    diff: str = ""


def plan_save(text: str) -> SavePlan:
    """Check the text against the flow of its name. Writes nothing."""
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
    """A document as people write it; that a flow is enabled goes without saying."""
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
    text = "".join(
        unified_diff(before, after, f"{title} (now)" if current_document else "/dev/null", f"{title} (then)")
    )
    return text if len(text) <= MAX_DIFF_LENGTH else f"{text[:MAX_DIFF_LENGTH]}\n… and more\n"


def export_flow(flow: Flow) -> str:
    """The flow as a text: as it was written, comments and all, where that still says what runs; else laid out anew."""
    saved_text = get_version_text(flow.version)
    disabled_text = saved_text if saved_text.lstrip().startswith("{") else f"enabled: false\n{saved_text}"
    return next(
        (text for text in (saved_text, disabled_text) if _is_equivalent(text, flow)),
        to_yaml(_get_current_document(flow)),
    )


def _get_current_document(flow: Flow) -> dict[str, Any]:
    return _build_display_document(flow.version.document, flow.enabled)


def _is_equivalent(text: str, flow: Flow) -> bool:
    """Whether this text, saved where there is no such flow, makes this one."""
    definition: FlowDefinition | None = validate_text(text).definition
    return definition is not None and _build_display_document(
        definition.document, definition.enabled
    ) == _get_current_document(flow)
