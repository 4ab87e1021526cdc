"""Reachability of steps, and cycles of dependencies. Linear in the number of steps and dependencies."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from flows.definition.types import StepDefinition


def find_reachable_steps(steps: Sequence[StepDefinition]) -> set[str]:
    """Return the ids of the steps that some sequence of events can fire."""
    dependents: defaultdict[str, list[StepDefinition]] = defaultdict(list)
    unmet_counts: dict[str, int] = {}
    for step in steps:
        dependencies = set(step.depends_on)
        unmet_counts[step.path] = len(dependencies) if step.depends_on_mode == "all" else min(len(dependencies), 1)
        for dependency in dependencies:
            dependents[dependency].append(step)
    reached: set[str] = set()
    pending_ids = [step.id for step in steps if step.is_trigger]
    while pending_ids:
        step_id = pending_ids.pop()
        if step_id in reached:
            continue
        reached.add(step_id)
        for dependent in dependents[step_id]:
            unmet_counts[dependent.path] -= 1
            if unmet_counts[dependent.path] == 0:
                pending_ids.append(dependent.id)
    return reached


def find_cyclic_steps(steps: Sequence[StepDefinition]) -> set[str]:
    """Return the ids of the steps that depend on themselves, directly or through other steps."""
    dependencies = {step.id: step.depends_on for step in steps}
    cyclic_ids = {step_id for step_id, names in dependencies.items() if step_id in names}
    search = _ComponentSearch(dependencies)
    for step_id in dependencies:
        cyclic_ids.update(*(members for members in search.run(step_id) if len(members) > 1))
    return cyclic_ids


class _ComponentSearch:
    """Tarjan's search for strongly connected components, with a stack instead of recursion."""

    def __init__(self, dependencies: Mapping[str, Sequence[str]]) -> None:
        self.dependencies = dependencies
        self.numbers: dict[str, int] = {}
        self.lowest: dict[str, int] = {}
        self.open_ids: list[str] = []
        self.is_open: set[str] = set()
        self.stack: list[tuple[str, Iterator[str]]] = []

    def run(self, start_id: str) -> Iterator[list[str]]:
        """Yield the components that can be reached from a step, except those that an earlier run has found."""
        if start_id not in self.numbers:
            self._enter(start_id)
        while self.stack:
            step_id, remaining = self.stack[-1]
            unvisited = next((name for name in remaining if not self._is_visited(step_id, name)), None)
            if unvisited is not None:
                self._enter(unvisited)
            else:
                self.stack.pop()
                if self.stack:
                    self._lower(self.stack[-1][0], self.lowest[step_id])
                if self.lowest[step_id] == self.numbers[step_id]:
                    yield self._close(step_id)

    def _enter(self, step_id: str) -> None:
        self.numbers[step_id] = self.lowest[step_id] = len(self.numbers)
        self.open_ids.append(step_id)
        self.is_open.add(step_id)
        names = (name for name in self.dependencies[step_id] if name in self.dependencies)
        self.stack.append((step_id, names))

    def _is_visited(self, step_id: str, dependency: str) -> bool:
        if dependency in self.is_open:
            self._lower(step_id, self.numbers[dependency])
        return dependency in self.numbers

    def _lower(self, step_id: str, number: int) -> None:
        self.lowest[step_id] = min(self.lowest[step_id], number)

    def _close(self, step_id: str) -> list[str]:
        members = [self.open_ids.pop()]
        while members[-1] != step_id:
            members.append(self.open_ids.pop())
        self.is_open.difference_update(members)
        return members
