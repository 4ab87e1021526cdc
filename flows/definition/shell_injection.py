"""Event text that reaches a shell unquoted: any sender of the event could run commands."""

import re
from collections.abc import Iterator, Sequence

from flows.definition.types import CommandDefinition, FlowIssue, StepDefinition
from flows.template import CompiledValue, Template

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
    tainted_names: set[str] = set()
    while newly_tainted := {
        name
        for name, template in named_templates
        if name not in tainted_names and _find_event_outputs(template, tainted_names)
    }:
        tainted_names |= newly_tainted
    return tainted_names


def _find_unquoted_outputs(compiled_value: CompiledValue, tainted_names: set[str]) -> Iterator[FlowIssue]:
    for path, template in compiled_value.templates:
        if DATA_KEYS.search(path):
            continue
        for line, column in _find_event_outputs(template, tainted_names):
            yield FlowIssue(path, SHELL_INJECTION_WARNING, line, column)


def _find_event_outputs(template: Template, tainted_names: set[str]) -> list[tuple[int, int]]:
    """Return the positions at which the template prints event text unchanged."""
    tainted_local_names = (
        template.declared_names
        if any(_reads_event_text(reference, tainted_names) for reference in template.references)
        else frozenset()
    )
    return [
        (output.line, output.column)
        for output in template.raw_outputs
        if any(
            _reads_event_text(reference, tainted_names) or reference[0] in tainted_local_names
            for reference in output.references
        )
    ]


def _reads_event_text(reference: tuple[str, str | int | None], tainted_names: set[str]) -> bool:
    name, key = reference
    if name == "Event":
        return key in ("Payload", None)
    return name == "Context" and (key in tainted_names or (key is None and bool(tainted_names)))
