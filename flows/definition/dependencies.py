"""Reachability of steps, and cycles of dependencies."""

from collections.abc import Sequence

from flows.definition.types import StepDefinition


def find_reachable_steps(steps: Sequence[StepDefinition]) -> set[str]:
    """Return the ids of the steps that some sequence of events can fire."""
    reached: set[str] = set()
    while True:
        newly_reached = {step.id for step in steps if step.id not in reached and step.are_dependencies_met(reached)}
        if not newly_reached:
            return reached
        reached |= newly_reached


def find_ancestors(step_id: str, steps: Sequence[StepDefinition]) -> set[str]:
    """Return the ids of all steps that a step depends on, directly or indirectly."""
    by_id = {step.id: step for step in steps}
    ancestor_ids: set[str] = set()
    pending_ids = list(by_id[step_id].depends_on)
    while pending_ids:
        dependency = pending_ids.pop()
        if dependency not in ancestor_ids and dependency in by_id:
            ancestor_ids.add(dependency)
            pending_ids += by_id[dependency].depends_on
    return ancestor_ids
