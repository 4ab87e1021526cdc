"""Which steps of a flow can ever fire, and which depend on themselves."""

from flows.document.types import Step


def reachable(steps: tuple[Step, ...]) -> set[str]:
    """Ids of the steps that some chain of events can fire."""
    reached: set[str] = set()
    while True:
        more = {step.id for step in steps if step.id not in reached and _can_fire(step, reached)}
        if not more:
            return reached
        reached |= more


def _can_fire(step: Step, reached: set[str]) -> bool:
    if step.is_trigger:
        return True
    holds = all if step.depends_on_mode == "all" else any
    return holds(named in reached for named in step.depends_on)


def ancestors(step_id: str, steps: tuple[Step, ...]) -> set[str]:
    """All that a step depends on, directly or by way of others."""
    by_id = {step.id: step for step in steps}
    found: set[str] = set()
    open_ids = list(by_id[step_id].depends_on)
    while open_ids:
        named = open_ids.pop()
        if named not in found and named in by_id:
            found.add(named)
            open_ids += by_id[named].depends_on
    return found
