"""What a flow document holds, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flows.template import CompiledValue, Template

# What criteria must give to hold; the original reads them with Go's ParseBool.
TRUE_VALUES = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE_VALUES = frozenset({"0", "f", "F", "FALSE", "false", "False"})

UNPARSED_NAME = "?"


@dataclass(frozen=True)
class FlowIssue:
    """An error or a warning: `path` as in `steps[0].event.name`; line and column: inside a template, else 0."""

    path: str
    message: str
    line: int = 0
    column: int = 0


class FlowValidationError(ValueError):
    """The document is no flow; `errors` are all that were found, `document` is what could be read of it.

    A name that could not be read is UNREAD there.
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


@dataclass(frozen=True)
class CommandDefinition:
    """What a step gives to some pack. Times are in seconds; `timeout` None leaves the server's default."""

    pack_name: str
    name: str
    pack_labels: CompiledValue
    input: CompiledValue
    timeout: int | None = None
    retries: int = 0
    backoff: float = 0


@dataclass(frozen=True)
class StepDefinition:
    """Event → criteria → command. Without `depends_on` it is a trigger: it starts executions.

    `path` is its place in the document, e.g. `steps[0]`; `context_names` are those that its context gives values to.
    """

    id: str
    path: str
    event: EventDefinition
    context: CompiledValue
    criteria: Template | None
    command: CommandDefinition
    context_names: frozenset[str] = frozenset()
    depends_on: tuple[str, ...] = ()
    depends_on_mode: Literal["any", "all"] = "any"

    @property
    def is_trigger(self) -> bool:
        return not self.depends_on


@dataclass(frozen=True)
class FlowDefinition:
    """A flow as it runs. `source` is the document as it is stored and given back."""

    name: str
    description: str
    labels: Mapping[str, str]
    enabled: bool | None
    steps: tuple[StepDefinition, ...]
    document: Mapping[str, Any]
    warnings: tuple[FlowIssue, ...] = ()

    @property
    def triggers(self) -> list[StepDefinition]:
        return [step for step in self.steps if step.is_trigger]
