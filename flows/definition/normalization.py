"""The stored form of steps: known keys in a fixed order, without empty values."""

from collections.abc import Mapping
from typing import Any

from flows.definition.document import COMMAND, EVENT, STEP


def normalize_step(raw_step: Any) -> dict[str, Any]:
    """Return a step as it is stored: without empty values, except a command's input, as in the original."""
    data = raw_step if isinstance(raw_step, Mapping) else {}
    normalized = {key: data[key] for key in STEP.key_names if key in data}
    normalized["event"] = _normalize_part(data.get("event"), EVENT.key_names)
    normalized["command"] = _normalize_part(data.get("command"), COMMAND.key_names)
    normalized["command"].setdefault("input", None)
    return drop_empty(normalized)


def _normalize_part(raw_part: Any, known_keys: tuple[str, ...]) -> dict[str, Any]:
    data = dict(raw_part) if isinstance(raw_part, Mapping) else {}
    if "labels" in data:
        data.setdefault("packLabels", data.pop("labels"))
    normalized = {key: data[key] for key in known_keys if key in data}
    return {key: item for key, item in normalized.items() if key == "input" or item not in (None, {}, [], "")}


def drop_empty(data: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping without null, '', and empty lists and mappings."""
    return {key: item for key, item in data.items() if item not in (None, "", [], {})}
