"""What saving a flow's text would change, and a flow as a text that can be saved again: for flows kept as files."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from flows.checking import WARNING, Checked, about_state, check, text_of
from flows.document import FlowDefinition
from flows.models import Flow
from flyte_site.rest.media import to_yaml

NEW, CHANGED, SAME = "new", "changed", "same"
MAX_DIFF = 200_000


@dataclass(frozen=True)
class Proposal:
    """A text that was checked, and what saving it would do: `change` is `new`, `changed` or `same`; '' where it has
    errors. `version` is the one that the flow is on, '' for none; `diff` is unified, of both documents as YAML.
    """

    checked: Checked
    change: str = ""
    version: str = ""
    diff: str = ""


def propose(text: str) -> Proposal:
    """Check the text against the flow of its name. Writes nothing."""
    checked = check(text)
    document = checked.document
    if document is None:
        return Proposal(checked)
    flow = Flow.objects.select_related("version").filter(name=document.name).first()
    if flow is None:
        return Proposal(checked, NEW, diff=_diff(document.name, {}, _shown(document.document, document.enabled)))
    checked.mark(WARNING, about_state(document, flow))
    now = _shown(flow.version.document, flow.enabled)
    then = _shown(document.document, flow.enabled if document.enabled is None else document.enabled)
    if now == then:
        return Proposal(checked, SAME, flow.version_id)
    return Proposal(checked, CHANGED, flow.version_id, _diff(document.name, now, then))


def _shown(source: Mapping[str, Any], enabled: bool | None) -> dict[str, Any]:
    """A document as people write it; that a flow is enabled goes without saying."""
    shown = dict(source)
    steps = shown.pop("steps", None)
    shown |= {"enabled": False} if enabled is False else {}
    return shown | ({"steps": steps} if steps else {})


def _diff(name: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    before, after = (to_yaml(one).splitlines(keepends=True) if one else [] for one in (now, then))
    title = name.replace("\n", " ")
    text = "".join(unified_diff(before, after, f"{title} (now)" if now else "/dev/null", f"{title} (then)"))
    return text if len(text) <= MAX_DIFF else f"{text[:MAX_DIFF]}\n… and more\n"


def as_file(flow: Flow) -> str:
    """The flow as a text: as it was written, comments and all, where that still says what runs; else laid out anew."""
    written = text_of(flow.version)
    switched = written if written.lstrip().startswith("{") else f"enabled: false\n{written}"
    return next((text for text in (written, switched) if _says(text, flow)), to_yaml(_document(flow)))


def _document(flow: Flow) -> dict[str, Any]:
    return _shown(flow.version.document, flow.enabled)


def _says(text: str, flow: Flow) -> bool:
    """Whether this text, saved where there is no such flow, makes this one."""
    document: FlowDefinition | None = check(text).document
    return document is not None and _shown(document.document, document.enabled) == _document(flow)
