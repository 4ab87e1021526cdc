"""What a flow document holds, as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flows.lang import CompiledValue, Template

# What criteria must give to hold; the original reads them with Go's ParseBool.
TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

# Where YAML's `yes` or `010` is a name or a label and means the text that was written (see rest.documents).
TEXT: dict[str, Any] = {}
_EVENT_TEXT = {"name": TEXT, "packname": TEXT, "packlabels": {"*": TEXT}, "labels": {"*": TEXT}}
TEXT_PLACES: dict[str, Any] = {
    "name": TEXT,
    "description": TEXT,
    "labels": {"*": TEXT},
    "steps": {
        "*": {
            "id": TEXT,
            "dependson": {"*": TEXT},
            "dependsonmode": TEXT,
            "event": _EVENT_TEXT,
            "command": {**_EVENT_TEXT, "timeout": TEXT},
        }
    },
}


UNREAD = "?"


@dataclass(frozen=True)
class Finding:
    """An error or a warning: `path` as in `steps[0].event.name`; line and column: inside a template, else 0."""

    path: str
    message: str
    line: int = 0
    column: int = 0


class FlowError(ValueError):
    """The document is no flow; `errors` are all that were found, `document` is what could be read of it.

    A name that could not be read is UNREAD there.
    """

    def __init__(self, errors: list[Finding], document: "FlowDocument") -> None:
        super().__init__("; ".join(f"{error.path}: {error.message}" for error in errors))
        self.errors = errors
        self.document = document


@dataclass(frozen=True)
class EventDefinition:
    """The event that a step waits for. `pack_labels` are templates."""

    pack_name: str
    name: str
    pack_labels: CompiledValue


@dataclass(frozen=True)
class Command:
    """What a step gives to some pack. Times are in seconds; `timeout` None leaves the server's default."""

    pack_name: str
    name: str
    pack_labels: CompiledValue
    input: CompiledValue
    timeout: int | None = None
    retries: int = 0
    backoff: float = 0


@dataclass(frozen=True)
class Step:
    """Event → criteria → command. Without `depends_on` it is a trigger: it starts executions.

    `path` is its place in the document, e.g. `steps[0]`; `context_names` are those that its context gives values to.
    """

    id: str
    path: str
    event: EventDefinition
    context: CompiledValue
    criteria: Template | None
    command: Command
    context_names: frozenset[str] = frozenset()
    depends_on: tuple[str, ...] = ()
    depends_on_mode: Literal["any", "all"] = "any"

    @property
    def is_trigger(self) -> bool:
        return not self.depends_on


@dataclass(frozen=True)
class FlowDocument:
    """A flow as it runs. `source` is the document as it is stored and given back."""

    name: str
    description: str
    labels: Mapping[str, str]
    enabled: bool | None
    steps: tuple[Step, ...]
    source: Mapping[str, Any]
    warnings: tuple[Finding, ...] = ()

    @property
    def triggers(self) -> list[Step]:
        return [step for step in self.steps if step.is_trigger]
