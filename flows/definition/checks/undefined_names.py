"""Context names that templates read and that no step assigns: they are always empty."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from flows.definition.types import FlowIssue, StepDefinition
from flows.template import Template, find_closest_name


def find_undefined_context_names(steps: Sequence[StepDefinition]) -> Iterator[FlowIssue]:
    """Warn for each `Context.X` that is always empty, once per text.

    A step may inherit any name that another step assigns: which steps have finished by then is known only at run time.
    A trigger inherits nothing, and a step's own context is not available while that context is evaluated.
    """
    setter_counts = Counter(name for step in steps for name in step.context_names)
    for step in steps:
        inherited_names = _InheritedNames(step, setter_counts)
        for path, template in step.context.templates:
            yield from _find_undefined(path, template, inherited_names, setter_counts)
        for path, template in _iter_later_templates(step):
            yield from _find_undefined(path, template, inherited_names, setter_counts, step.context_names)


@dataclass(frozen=True)
class _InheritedNames:
    """The context names that a step can inherit: those that another step sets. `setter_counts`: steps per name."""

    step: StepDefinition
    setter_counts: Mapping[str, int]

    def __contains__(self, name: str) -> bool:
        return not self.step.is_trigger and self.setter_counts.get(name, 0) > (name in self.step.context_names)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.setter_counts if name in self)


def _iter_later_templates(step: StepDefinition) -> Iterator[tuple[str, Template]]:
    yield from step.event.pack_labels.templates
    if step.criteria is not None:
        yield f"{step.path}.criteria", step.criteria
    yield from step.command.pack_labels.templates
    yield from step.command.input.templates


def _find_undefined(
    path: str,
    template: Template,
    inherited_names: _InheritedNames,
    all_names: Collection[str],
    own_names: Collection[str] = (),
) -> Iterator[FlowIssue]:
    for name, line, column in template.context_names:
        if name not in own_names and name not in inherited_names:
            explanation = _explain_undefined(name, chain(own_names, inherited_names), all_names)
            yield FlowIssue(path, f"Context.{name} is always empty here: {explanation}", line, column)


def _explain_undefined(name: str, defined_names: Iterable[str], all_names: Collection[str]) -> str:
    if name in all_names:
        return "no earlier step sets it"
    suggestion = find_closest_name(name, sorted(defined_names)) or find_closest_name(name, sorted(all_names))
    return f"no step's context sets it{f'; did you mean {suggestion}?' if suggestion else ''}"
