"""Names of the context that templates read and that nothing gives a value to: they are always empty."""

from collections.abc import Iterator, Sequence

from flows.document.types import Finding, Step
from flows.lang import Template, nearest


def context_warnings(steps: Sequence[Step]) -> Iterator[Finding]:
    """A warning for each `Context.X` that is empty whatever happens, once a text.

    A step may inherit what any other step sets: which of them have finished by then, only a run can tell. A trigger
    inherits nothing, and no step's own context is there while that is evaluated.
    """
    every = {name for step in steps for name in step.context_names}
    for step in steps:
        inherited = _inherited(step, steps)
        for path, template in step.context.texts:
            yield from _empty(path, template, inherited, every)
        for path, template in _after_context(step):
            yield from _empty(path, template, inherited | step.context_names, every)


def _inherited(step: Step, steps: Sequence[Step]) -> set[str]:
    if step.is_trigger:
        return set()
    return {name for other in steps if other is not step for name in other.context_names}


def _after_context(step: Step) -> Iterator[tuple[str, Template]]:
    yield from step.event.pack_labels.texts
    if step.criteria is not None:
        yield f"{step.path}.criteria", step.criteria
    yield from step.command.pack_labels.texts
    yield from step.command.input.texts


def _empty(path: str, template: Template, there: set[str], every: set[str]) -> Iterator[Finding]:
    for name, line, column in template.context_names:
        if name not in there:
            yield Finding(path, f"Context.{name} is always empty here: {_why(name, there, every)}", line, column)


def _why(name: str, there: set[str], every: set[str]) -> str:
    if name in every:
        return "no step that comes before sets it"
    meant = nearest(name, sorted(there)) or nearest(name, sorted(every))
    return f"no step's context sets it{f'; did you mean {meant}?' if meant else ''}"
