"""Event text that reaches a shell unquoted: any sender of the event could run commands."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from flows.definition.types import CommandDefinition, FlowIssue, StepDefinition
from flows.template import CompiledValue, Template, get_line_and_column

SHELL_NAME = "shell"
SHELL_INJECTION_WARNING = (
    "passes unquoted event text to a shell, where the sender can run any command: "
    "pass it in `env` or `stdin`, or write {{ ...|shellquote }}"
)
# Keys of the Shell pack's input that are data of the script, not part of it.
DATA_KEYS = re.compile(r"command\.input\.(stdin|env)(?![\w-])")


def find_shell_injections(steps: Sequence[StepDefinition]) -> Iterator[FlowIssue]:
    """Warn for each `{{ … }}` in a shell's command that prints unquoted event text, except in `stdin` and `env`.

    Only the flow itself is examined: the payload, and names that a tag or a step's context takes from it.
    """
    tainted_names = _find_tainted_context_names(steps)
    for step in steps:
        if _is_shell_command(step.command):
            yield from _find_unquoted_outputs(step.command.input, tainted_names)


def _is_shell_command(command: CommandDefinition) -> bool:
    return SHELL_NAME in (command.pack_name.lower(), command.name.lower())


def _find_tainted_context_names(steps: Sequence[StepDefinition]) -> set[str]:
    """Return the context names to which some step assigns event text, directly or through another name."""
    named_templates = [
        (path.rpartition(".")[2], template) for step in steps for path, template in step.context.templates
    ]
    readers: defaultdict[str | int | None, list[tuple[str, Template]]] = defaultdict(list)
    for name, template in named_templates:
        for key in {key for variable, key in template.references if variable == "Context"}:
            readers[key].append((name, template))
    tainted_names: set[str] = set()
    pending = named_templates
    while pending:
        newly_tainted = {
            name
            for name, template in pending
            if name not in tainted_names and _prints_event_text(template, tainted_names)
        }
        # A template that reads the whole context can change with the first tainted name only.
        pending = readers.pop(None, []) if newly_tainted else []
        tainted_names |= newly_tainted
        for name in newly_tainted:
            pending += readers[name]
    return tainted_names


def _find_unquoted_outputs(compiled_value: CompiledValue, tainted_names: set[str]) -> Iterator[FlowIssue]:
    for path, template in compiled_value.templates:
        if DATA_KEYS.search(path):
            continue
        for offset in _iter_event_outputs(template, tainted_names):
            yield FlowIssue(path, SHELL_INJECTION_WARNING, *get_line_and_column(template.source, offset))


def _prints_event_text(template: Template, tainted_names: set[str]) -> bool:
    return next(_iter_event_outputs(template, tainted_names), None) is not None


def _iter_event_outputs(template: Template, tainted_names: set[str]) -> Iterator[int]:
    """Return the offsets at which the template prints event text unchanged."""
    tainted_local_names = (
        template.declared_names
        if any(_reads_event_text(reference, tainted_names) for reference in template.references)
        else frozenset()
    )
    return (
        output.offset
        for output in template.raw_outputs
        if any(
            _reads_event_text(reference, tainted_names) or reference[0] in tainted_local_names
            for reference in output.references
        )
    )


def _reads_event_text(reference: tuple[str, str | int | None], tainted_names: set[str]) -> bool:
    name, key = reference
    if name == "Event":
        return key in ("Payload", None)
    return name == "Context" and (key in tainted_names or (key is None and bool(tainted_names)))
