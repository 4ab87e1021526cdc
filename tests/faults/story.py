"""The story of a soak: the notes of its journals, and the rows of the server's database."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.faults.journal import Note

FINISHED = ("SUCCESS", "FATAL")
FINAL = (*FINISHED, "CANCELLED")


@dataclass(frozen=True)
class StoredExecution:
    """A row of the executions; `errors` is True if a step could not be evaluated."""

    id: str
    flow: str
    state: str
    errors: bool = False


@dataclass(frozen=True)
class StoredAction:
    """A row of the actions. `key` is that of its input, `trigger_key` that of its trigger event ('': none)."""

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
        """Return True if the result is this event of a pack of this name."""
        return self.finished and self.result is not None and _name(self.result) == (pack, event)


def _name(result: Mapping[str, Any]) -> tuple[str, str]:
    return result["pack"]["name"], result["event"]


@dataclass(frozen=True)
class Story:
    """The notes and rows of a soak; `audit` has the executions as the API shows them, by id."""

    notes: Sequence[Note]
    executions: Sequence[StoredExecution]
    actions: Sequence[StoredAction]
    audit: Mapping[str, Any] = field(default_factory=dict)

    def notes_of_kind(self, kind: str) -> Iterator[Note]:
        """Yield the notes of a kind."""
        return (note for note in self.notes if note["kind"] == kind)

    @cached_property
    def actions_of(self) -> Mapping[str, list[StoredAction]]:
        """Return the actions by execution."""
        actions: dict[str, list[StoredAction]] = defaultdict(list)
        for action in self.actions:
            actions[action.execution].append(action)
        return actions

    @cached_property
    def action(self) -> Mapping[str, StoredAction]:
        """Return the actions by id."""
        return {action.id: action for action in self.actions}

    def key_of(self, execution: StoredExecution) -> str:
        """Return the key of an execution's trigger event, from its first action; '' without one."""
        return next((action.trigger_key for action in self.actions_of[execution.id] if not action.triggered_by), "")
