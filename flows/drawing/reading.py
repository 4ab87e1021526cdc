"""What of a flow document can be drawn. Documents that are no flows yet are drawn as far as they are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_STEPS = 100


@dataclass(frozen=True)
class DrawnStep:
    """A step as its box shows it. `event` and `command` are `pack.name`; `event` is empty where the step has none."""

    id: str
    event: str
    labels: str
    criteria: str
    command: str
    depends_on: tuple[str, ...]
    mode: str

    @property
    def is_trigger(self) -> bool:
        return not self.depends_on


@dataclass(frozen=True)
class DrawnFlow:
    """A flow's steps in their order; `left_out` is the number of steps beyond `MAX_STEPS`."""

    name: str
    steps: tuple[DrawnStep, ...]
    left_out: int = 0


def read(document: object) -> DrawnFlow:
    """The flow in a document of any shape; what is of a wrong type counts as absent."""
    data = _mapping(document)
    steps = _list(data.get("steps"))
    drawn = tuple(_step(_mapping(raw), place) for place, raw in enumerate(steps[:MAX_STEPS], start=1))
    return DrawnFlow(_text(data.get("name")), drawn, max(0, len(steps) - MAX_STEPS))


def _step(raw: Mapping[str, Any], place: int) -> DrawnStep:
    event = _mapping(raw.get("event"))
    labels = _mapping(event.get("packLabels", event.get("labels")))
    named = dict.fromkeys(text for item in _list(raw.get("dependsOn")) if (text := _text(item)))
    return DrawnStep(
        id=_text(raw.get("id")) or f"step-{place}",
        event=_full_name(event) if event else "",
        labels=", ".join(f"{_text(key)}: {_text(value)}" for key, value in labels.items()),
        criteria=_text(raw.get("criteria")).strip(),
        command=_full_name(_mapping(raw.get("command"))),
        depends_on=tuple(named),
        mode="all" if raw.get("dependsOnMode") == "all" else "any",
    )


def _full_name(part: Mapping[str, Any]) -> str:
    return f"{_text(part.get('packName')) or '?'}.{_text(part.get('name')) or '?'}"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else ""
