"""Context names that templates read and that no step assigns: they are always empty."""

from collections.abc import Iterator, Sequence

from flows.definition.types import FlowIssue, StepDefinition
from flows.template import Template, find_closest_name


def find_undefined_context_names(steps: Sequence[StepDefinition]) -> Iterator[FlowIssue]:
    """Warn for each `Context.X` that is always empty, once per text.

    A step may inherit any name that another step assigns: which steps have finished by then is known only at run time.
    A trigger inherits nothing, and a step's own context is not available while that context is evaluated.
    """
    all_names = {name for step in steps for name in step.context_names}
    for step in steps:
        inherited_names = _get_inherited_names(step, steps)
        for path, template in step.context.templates:
            yield from _find_undefined(path, template, inherited_names, all_names)
        for path, template in _iter_later_templates(step):
            yield from _find_undefined(path, template, inherited_names | step.context_names, all_names)


def _get_inherited_names(step: StepDefinition, steps: Sequence[StepDefinition]) -> set[str]:
    if step.is_trigger:
        return set()
    return {name for other in steps if other is not step for name in other.context_names}


def _iter_later_templates(step: StepDefinition) -> Iterator[tuple[str, Template]]:
    yield from step.event.pack_labels.templates
    if step.criteria is not None:
        yield f"{step.path}.criteria", step.criteria
    yield from step.command.pack_labels.templates
    yield from step.command.input.templates


def _find_undefined(path: str, template: Template, defined_names: set[str], all_names: set[str]) -> Iterator[FlowIssue]:
    for name, line, column in template.context_names:
        if name not in defined_names:
            yield FlowIssue(
                path,
                f"Context.{name} is always empty here: {_explain_undefined(name, defined_names, all_names)}",
                line,
                column,
            )


def _explain_undefined(name: str, defined_names: set[str], all_names: set[str]) -> str:
    if name in all_names:
        return "no earlier step sets it"
    suggestion = find_closest_name(name, sorted(defined_names)) or find_closest_name(name, sorted(all_names))
    return f"no step's context sets it{f'; did you mean {suggestion}?' if suggestion else ''}"
