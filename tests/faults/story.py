"""All that is known when the soak is over: what the journals tell, and what the server has kept."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.faults.journal import Note

FINISHED = ("SUCCESS", "FATAL")
FINAL = (*FINISHED, "CANCELLED")


@dataclass(frozen=True)
class Execution:
    """A row of the executions; `errors` tells whether a step could not be judged."""

    id: str
    flow: str
    state: str
    errors: bool = False


@dataclass(frozen=True)
class Action:
    """A row of the actions. `key` is that of its input, `trigger_key` that of the event it was made for ('': none)."""

    id: str
    execution: str
    step: str
    pack: str
    key: str
    trigger_key: str
    triggered_by: str
    state: str
    waiting: bool
    leased: bool
    attempt: int
    retries: int
    states: Sequence[Mapping[str, str]]
    history: Sequence[Mapping[str, Any]] = ()
    result: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    def ended_in(self, pack: str, event: str) -> bool:
        """Whether its result is this event of a pack of this name."""
        return self.finished and self.result is not None and _name(self.result) == (pack, event)


def _name(result: Mapping[str, Any]) -> tuple[str, str]:
    return result["pack"]["name"], result["event"]


@dataclass(frozen=True)
class Story:
    """`audit` has the executions as the API shows them, by id."""

    notes: Sequence[Note]
    executions: Sequence[Execution]
    actions: Sequence[Action]
    audit: Mapping[str, Any] = field(default_factory=dict)

    def told(self, kind: str) -> Iterator[Note]:
        """The notes of this kind."""
        return (note for note in self.notes if note["kind"] == kind)

    @cached_property
    def actions_of(self) -> Mapping[str, list[Action]]:
        """The actions by execution."""
        found: dict[str, list[Action]] = defaultdict(list)
        for action in self.actions:
            found[action.execution].append(action)
        return found

    @cached_property
    def action(self) -> Mapping[str, Action]:
        """The actions by id."""
        return {action.id: action for action in self.actions}

    def key_of(self, execution: Execution) -> str:
        """The key of the event that began an execution, as its first action has it; '' where it has none."""
        return next((one.trigger_key for one in self.actions_of[execution.id] if not one.triggered_by), "")
