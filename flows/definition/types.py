"""Typed values of flow documents."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from flows.template import CompiledValue, Template

# Results of criteria that count as true; the original uses Go's ParseBool.
TRUE_VALUES = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE_VALUES = frozenset({"0", "f", "F", "FALSE", "false", "False"})

UNPARSED_NAME = "?"

MAX_ISSUES = 100
"""The maximum number of errors of a flow that are reported, and of warnings."""


def make_default_step_id(index: int) -> str:
    """Return the id of the step at this index (from 0) if its document has none."""
    return f"step-{index + 1}"


def format_full_name(pack_name: str, name: str) -> str:
    """Format an event or command with its pack: `Slack.SendMessage`."""
    return f"{pack_name}.{name}"


@dataclass(frozen=True)
class FlowIssue:
    """An error or a warning: `path` as in `steps[0].event.name`; line and column: inside a template, else 0."""

    path: str
    message: str
    line: int = 0
    column: int = 0


class FlowValidationError(ValueError):
    """An invalid document; `errors` are all errors, `definition` is the part that could be parsed.

    A name that could not be parsed is UNPARSED_NAME there.
    """

    def __init__(self, errors: list[FlowIssue], definition: "FlowDefinition") -> None:
        super().__init__("; ".join(f"{error.path}: {error.message}" for error in errors))
        self.errors = errors
        self.definition = definition


@dataclass(frozen=True)
class EventDefinition:
    """The event that a step waits for. `pack_labels` are templates."""

    pack_name: str
    name: str
    pack_labels: CompiledValue

    @property
    def full_name(self) -> str:
        return format_full_name(self.pack_name, self.name)


@dataclass(frozen=True)
class CommandDefinition:
    """The command that a step sends to a pack. Times are in seconds; `timeout` None means the server's default."""

    pack_name: str
    name: str
    pack_labels: CompiledValue
    input: CompiledValue
    timeout: int | None = None
    retries: int = 0
    backoff: float = 0


@dataclass(frozen=True, kw_only=True)
class StepDependencies:
    """The steps that a step depends on: any or all of them. A step without dependencies is a trigger."""

    depends_on: tuple[str, ...] = ()
    depends_on_mode: Literal["any", "all"] = "any"

    @cached_property
    def is_trigger(self) -> bool:
        return not self.depends_on

    def are_dependencies_met(self, step_ids: Container[str]) -> bool:
        """Return whether the step can fire after these steps have finished; always true for a trigger."""
        is_met = all if self.depends_on_mode == "all" or self.is_trigger else any
        return is_met(dependency in step_ids for dependency in self.depends_on)

    def describe_dependencies(self, names: Iterable[str] | None = None) -> str:
        """Join the ids of the dependencies, or these names for them: `build and test`, `build or test`."""
        conjunction = " and " if self.depends_on_mode == "all" else " or "
        return conjunction.join(dict.fromkeys(self.depends_on) if names is None else names)


@dataclass(frozen=True)
class StepDefinition(StepDependencies):
    """Event → criteria → command. Without `depends_on` it is a trigger: it starts executions.

    `path` is its path in the document, e.g. `steps[0]`; `context_names` are the names that its context assigns.
    """

    id: str
    path: str
    event: EventDefinition
    context: CompiledValue
    criteria: Template | None
    command: CommandDefinition
    context_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FlowDefinition:
    """A parsed flow. `document` is the document as it is stored and returned."""

    name: str
    description: str
    labels: Mapping[str, str]
    enabled: bool | None
    steps: tuple[StepDefinition, ...]
    document: Mapping[str, Any]
    warnings: tuple[FlowIssue, ...] = ()

    @cached_property
    def triggers(self) -> list[StepDefinition]:
        return [step for step in self.steps if step.is_trigger]
