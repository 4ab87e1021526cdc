"""Text of an event that reaches a shell as it came: whoever sends the event could have any command run."""

from collections.abc import Iterator, Sequence

from flows.document.types import Command, Finding, Step
from flows.lang import CompiledValue, Template

SHELL = "shell"
MESSAGE = "gives text of an event to a shell as it came, where it may mean anything: write {{ …|shellquote }}"


def shell_warnings(steps: Sequence[Step]) -> Iterator[Finding]:
    """A warning for each `{{ … }}` in a shell's command that prints of an event what is not quoted.

    Seen is what stands in the flow: the payload, names that a tag or a step's context takes from it, and no more.
    """
    names = _names_from_events(steps)
    for step in steps:
        if _is_shell(step.command):
            yield from _unquoted(step.command.input, names)


def _is_shell(command: Command) -> bool:
    return SHELL in (command.pack_name.lower(), command.name.lower())


def _names_from_events(steps: Sequence[Step]) -> set[str]:
    """The context's names that some step gives text of an event to, be it by way of another name."""
    texts = [(path.rpartition(".")[2], template) for step in steps for path, template in step.context.texts]
    names: set[str] = set()
    while found := {name for name, template in texts if name not in names and _prints(template, names)}:
        names |= found
    return names


def _unquoted(value: CompiledValue, names: set[str]) -> Iterator[Finding]:
    for path, template in value.texts:
        for line, column in _prints(template, names):
            yield Finding(path, MESSAGE, line, column)


def _prints(template: Template, names: set[str]) -> list[tuple[int, int]]:
    """Where the template prints text of an event as it came."""
    own = template.declared if any(_is_event(read, names) for read in template.reads) else frozenset()
    return [
        (printed.line, printed.column)
        for printed in template.printed
        if any(_is_event(read, names) or read[0] in own for read in printed.reads)
    ]


def _is_event(read: tuple[str, str | int | None], names: set[str]) -> bool:
    name, key = read
    if name == "Event":
        return key in ("Payload", None)
    return name == "Context" and (key in names or (key is None and bool(names)))
