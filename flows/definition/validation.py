"""Validation of a parsed flow: known keys, unique step ids, dependencies that exist and can fire, suspicious templates.

`parser` calls these rules. It checks types, names, numbers, durations and templates itself, as it parses them.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import chain, islice

from flows.definition.checks.dependencies import find_cyclic_steps, find_reachable_steps
from flows.definition.checks.shell_injection import find_shell_injections
from flows.definition.checks.undefined_names import find_undefined_context_names
from flows.definition.document import COMMAND, EVENT, FLOW, STEP
from flows.definition.types import MAX_ISSUES, FlowIssue, StepDefinition
from flows.template import find_closest_name

FLOW_KEYS, STEP_KEYS, EVENT_KEYS, COMMAND_KEYS = (part.key_names for part in (FLOW, STEP, EVENT, COMMAND))
LEGACY_KEYS = {
    "pack-id": "packName",
    "pack-name": "packName",
    "pack-labels": "packLabels",
    "command-name": "name",
    "event-name": "name",
    "arguments": "input",
    "depends-on": "dependsOn",
}


def validate_steps(
    steps: Sequence[StepDefinition], *, has_valid_relations: bool
) -> tuple[list[FlowIssue], list[FlowIssue]]:
    """Return the errors and the warnings of a flow's steps, taken together; of each at most MAX_ISSUES.

    While an id, a dependency or a context is invalid, it is unknown which steps can fire and which names they have.
    """
    duplicates = list(islice(_find_duplicate_ids(steps), MAX_ISSUES))
    unknown = list(islice(_find_unknown_dependencies(steps), MAX_ISSUES))
    errors, warnings = [*duplicates, *unknown], find_shell_injections(steps)
    if has_valid_relations and not duplicates:
        unreachable = _find_unreachable_steps(steps)
        errors += [] if unknown else islice(_report_unreachable(steps, unreachable), MAX_ISSUES)
        warnings = chain(_find_cycles(steps, unreachable), warnings, find_undefined_context_names(steps))
    return errors[:MAX_ISSUES], list(islice(warnings, MAX_ISSUES))


def find_unknown_keys(keys: Iterable[str], path: str, known_keys: Sequence[str]) -> Iterator[FlowIssue]:
    """Find unknown keys of the mapping at the path, at most MAX_ISSUES."""
    for key in islice((key for key in keys if key not in known_keys), MAX_ISSUES):
        yield FlowIssue(f"{path}.{key}" if path else key, f"unknown key{_suggest_key(key, known_keys)}")


def _find_duplicate_ids(steps: Sequence[StepDefinition]) -> Iterator[FlowIssue]:
    first_index: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.id in first_index:
            message = f"duplicate step id {step.id!r}: already used by steps[{first_index[step.id]}]"
            yield FlowIssue(f"steps[{index}].id", message)
        first_index.setdefault(step.id, index)


def _find_unknown_dependencies(steps: Sequence[StepDefinition]) -> Iterator[FlowIssue]:
    ids = {step.id: step.path for step in steps}
    for index, step in enumerate(steps):
        for dependency_index, dependency in enumerate(step.depends_on):
            if dependency not in ids:
                message = f"unknown step {dependency!r}{_suggest_key(dependency, tuple(ids))}"
                yield FlowIssue(f"steps[{index}].dependsOn[{dependency_index}]", message)


def _find_unreachable_steps(steps: Sequence[StepDefinition]) -> set[int]:
    """Return the indexes of steps to which no trigger leads; a step with an unknown dependency has another error."""
    ids, reachable_ids = {step.id for step in steps}, find_reachable_steps(steps)
    return {
        index for index, step in enumerate(steps) if step.id not in reachable_ids and ids.issuperset(step.depends_on)
    }


def _report_unreachable(steps: Sequence[StepDefinition], unreachable: Iterable[int]) -> Iterator[FlowIssue]:
    for index in sorted(unreachable):
        message = f"step {steps[index].id!r} can never fire: no trigger step leads to its dependencies"
        yield FlowIssue(f"steps[{index}].dependsOn", message)


def _find_cycles(steps: Sequence[StepDefinition], unreachable: Container[int]) -> Iterator[FlowIssue]:
    cyclic_ids = find_cyclic_steps(steps)
    for index, step in enumerate(steps):
        if index not in unreachable and step.id in cyclic_ids:
            message = f"step {step.id!r} is part of a cycle; it can fire only once, after a dependency outside it"
            yield FlowIssue(f"steps[{index}].dependsOn", message)


def _suggest_key(key: str, known_keys: Sequence[str]) -> str:
    if key in LEGACY_KEYS and LEGACY_KEYS[key] in known_keys:
        return f"; renamed to {LEGACY_KEYS[key]}"
    if known_keys == STEP_KEYS and (parts := _find_step_parts(key)):
        new_name = f", as {LEGACY_KEYS[key]}" if key in LEGACY_KEYS else ""
        return f"; belongs in {' or '.join(parts)}{new_name}"
    closest = find_closest_key(key, known_keys)
    return f"; did you mean {closest}?" if closest else _list_known_keys(known_keys)


def _find_step_parts(key: str) -> list[str]:
    """Return the parts of a step, `event` or `command`, that have the key or its current name."""
    current_key = LEGACY_KEYS.get(key, key)
    prefix, _, suffix = key.partition("-")
    parts = [part for part, keys in (("event", EVENT_KEYS), ("command", COMMAND_KEYS)) if current_key in keys]
    return [prefix] if suffix == "name" and prefix in parts else parts


def find_closest_key(key: str, known_keys: Sequence[str]) -> str:
    """Return the known key with the most similar spelling; '' if none is similar."""
    keys_by_lower = {name.lower(): name for name in known_keys}
    lower_key = str(key).lower()
    return keys_by_lower.get(lower_key) or keys_by_lower.get(find_closest_name(lower_key, keys_by_lower) or "", "")


def _list_known_keys(known_keys: Sequence[str]) -> str:
    return f"; use one of: {', '.join(dict.fromkeys(known_keys))}" if 0 < len(known_keys) <= 12 else ""
