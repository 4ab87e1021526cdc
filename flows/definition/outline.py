"""The steps of a flow document of any shape: a draft, one of the original server, or one that today's rules reject.

Reading it never fails and compiles no template; a value of a wrong type counts as missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flows.definition.types import UNPARSED_NAME, StepDependencies, format_full_name, make_default_step_id


@dataclass(frozen=True)
class PartOutline:
    """The event or the command of a step; a missing name is empty."""

    pack_name: str
    name: str
    pack_labels: Mapping[str, str]

    @property
    def full_name(self) -> str:
        return format_full_name(self.pack_name or UNPARSED_NAME, self.name or UNPARSED_NAME)


@dataclass(frozen=True)
class StepOutline(StepDependencies):
    """A step. `event` is None if the step has none; `document` is the step's part of the document."""

    id: str
    has_default_id: bool
    event: PartOutline | None
    command: PartOutline
    criteria: str
    context_names: tuple[str, ...]
    document: Mapping[str, Any]


@dataclass(frozen=True)
class FlowOutline:
    """A flow's name and steps. `omitted_steps` is the number of steps left out by `limit_steps`."""

    name: str
    steps: tuple[StepOutline, ...]
    omitted_steps: int = 0

    def limit_steps(self, maximum: int) -> "FlowOutline":
        """Return the flow with at most so many steps."""
        return replace(self, steps=self.steps[:maximum], omitted_steps=max(0, len(self.steps) - maximum))

    def get_step(self, step_id: str) -> StepOutline | None:
        """Return the step with this id, or None."""
        return next((step for step in self.steps if step.id == step_id), None)


def read_outline(document: object) -> FlowOutline:
    """Read the flow in a document of any shape."""
    data = _to_mapping(document)
    steps = enumerate(_to_list(data.get("steps")))
    return FlowOutline(_to_text(data.get("name")), tuple(_read_step(_to_mapping(step), index) for index, step in steps))


def _read_step(data: Mapping[str, Any], index: int) -> StepOutline:
    step_id, event = _to_text(data.get("id")), _to_mapping(data.get("event"))
    dependencies = dict.fromkeys(text for item in _to_list(data.get("dependsOn")) if (text := _to_text(item)))
    return StepOutline(
        id=step_id or make_default_step_id(index),
        has_default_id=not step_id,
        event=_read_part(event) if event else None,
        command=_read_part(_to_mapping(data.get("command"))),
        criteria=_to_text(data.get("criteria")),
        context_names=tuple(map(str, _to_mapping(data.get("context")))),
        document=data,
        depends_on=tuple(dependencies),
        depends_on_mode="all" if data.get("dependsOnMode") == "all" else "any",
    )


def _read_part(data: Mapping[str, Any]) -> PartOutline:
    labels = _to_mapping(data.get("packLabels", data.get("labels")))
    return PartOutline(
        pack_name=_to_text(data.get("packName")),
        name=_to_text(data.get("name")),
        pack_labels={_to_text(key): _to_text(value) for key, value in labels.items()},
    )


def _to_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _to_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _to_text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""
