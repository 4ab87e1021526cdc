"""What of a flow document can be drawn. Documents that are no flows yet are drawn as far as they are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_STEPS = 100


@dataclass(frozen=True)
class DiagramStep:
    """A step as its box shows it. `event` and `command` are `pack.name`; `event` is empty where the step has none."""

    id: str
    event: str
    labels: str
    criteria: str
    command: str
    depends_on: tuple[str, ...]
    depends_on_mode: str

    @property
    def is_trigger(self) -> bool:
        return not self.depends_on


@dataclass(frozen=True)
class DiagramFlow:
    """A flow's steps in their order; `left_out` is the number of steps beyond `MAX_STEPS`."""

    name: str
    steps: tuple[DiagramStep, ...]
    omitted_steps: int = 0


def parse_document(document: object) -> DiagramFlow:
    """The flow in a document of any shape; what is of a wrong type counts as absent."""
    data = _to_mapping(document)
    steps = _to_list(data.get("steps"))
    diagram_steps = tuple(
        _parse_step(_to_mapping(raw_step), number) for number, raw_step in enumerate(steps[:MAX_STEPS], start=1)
    )
    return DiagramFlow(_to_text(data.get("name")), diagram_steps, max(0, len(steps) - MAX_STEPS))


def _parse_step(raw_step: Mapping[str, Any], number: int) -> DiagramStep:
    event = _to_mapping(raw_step.get("event"))
    labels = _to_mapping(event.get("packLabels", event.get("labels")))
    dependencies = dict.fromkeys(text for item in _to_list(raw_step.get("dependsOn")) if (text := _to_text(item)))
    return DiagramStep(
        id=_to_text(raw_step.get("id")) or f"step-{number}",
        event=_format_full_name(event) if event else "",
        labels=", ".join(f"{_to_text(key)}: {_to_text(value)}" for key, value in labels.items()),
        criteria=_to_text(raw_step.get("criteria")).strip(),
        command=_format_full_name(_to_mapping(raw_step.get("command"))),
        depends_on=tuple(dependencies),
        depends_on_mode="all" if raw_step.get("dependsOnMode") == "all" else "any",
    )


def _format_full_name(part: Mapping[str, Any]) -> str:
    return f"{_to_text(part.get('packName')) or '?'}.{_to_text(part.get('name')) or '?'}"


def _to_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _to_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _to_text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""
