"""Rendering of template texts for tests."""

from collections.abc import Mapping
from typing import Any

from flows.template import RenderContext, RenderLimits, TemplateError, compile_template

ERROR = "error: "


def render(source: str, *, limits: RenderLimits | None = None, **payload: Any) -> str:
    """Return the output of a template with this payload, or the message of its error after `error: `."""
    return render_with_datastore(source, {}, limits=limits, **payload)


def render_with_datastore(
    source: str, items: Mapping[str, object], *, limits: RenderLimits | None = None, **payload: Any
) -> str:
    """Return the output of a template with these datastore items, or the message of its error."""

    def read(key: str) -> object:
        if key not in items:
            raise KeyError(f"datastore item {key!r} not found")
        if isinstance(items[key], LookupError):
            raise items[key]  # type: ignore[misc]
        return items[key]

    variables = {"Event": {"CreatedAt": "2026-11-21T05:30:00Z", "Payload": payload}, "Context": {}}
    try:
        return compile_template(source).render(RenderContext(variables, read, limits or RenderLimits()))
    except TemplateError as error:
        return ERROR + error.message
