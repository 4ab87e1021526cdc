"""A check of the states and attempts of one action."""

import re
from collections.abc import Iterator
from itertools import pairwise

from tests.faults.story import StoredAction

# Queued and taken, for each attempt; then one end. An action can be cancelled while it is queued or taken.
LAWFUL = re.compile(r"(NEW PENDING )*(NEW PENDING (SUCCESS|FATAL)|NEW (PENDING )?CANCELLED)")


def unlawful(action: StoredAction, *, are_clocks_set: bool = False) -> Iterator[str]:
    """Yield a line for each defect in the states and attempts of an action.

    States have the times of the machines that wrote them, in no order if their clocks were set.
    """
    values = [entry["value"] for entry in action.states]
    sequence = " ".join(values)
    if not LAWFUL.fullmatch(sequence):
        yield f"went through {sequence}"
    if not values or values[-1] != action.state:
        yield f"is {action.state}, and its last state is {values[-1:]}"
    if values.count("PENDING") != action.attempt:
        yield f"was taken {values.count('PENDING')} times in {action.attempt} attempts"
    if action.attempt > 1 + action.retries:
        yield f"was tried {action.attempt} times with {action.retries} retries"
    if not are_clocks_set and any(earlier["time"] > later["time"] for earlier, later in pairwise(action.states)):
        yield f"went back in time: {[entry['time'] for entry in action.states]}"
    if missing := attempts_unaccounted_for(action):
        yield f"does not tell what became of attempts {missing}"
    if action.finished != (action.result is not None):
        yield f"is {action.state} and has {'a' if action.result else 'no'} result"


def attempts_unaccounted_for(action: StoredAction) -> list[int]:
    """Return the earlier attempts that have no end in the history."""
    ended = {entry["attempt"] for entry in action.history if not entry.get("late")}
    return [attempt for attempt in range(1, action.attempt) if attempt not in ended]
