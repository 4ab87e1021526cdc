"""The keys of a flow document, for the parser, the descriptions of the API and the editor; and its stored form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flyte_site.http.input.parsing import STRING, StringFields

MAX_NAME_LENGTH = 255
MAX_RETRIES = 100
MAX_BACKOFF_SECONDS = 86_400
DEPENDS_ON_MODES = ("any", "all")

Schema = Mapping[str, Any]
_NAME_LIMITS = {"minLength": 1, "maxLength": MAX_NAME_LENGTH, "pattern": r"^[^\u0000-\u001f\u007f]*$"}
_TEXT_LIMITS = {"pattern": r"^[^\u0000]*$"}
_STRING: Schema = {"type": "string"}
_DURATION_PART = "[0-9]+(\\.[0-9]+)? ?(ms|s|min|m|h|d|w) ?"
DURATION_PATTERN = rf"^ *([0-9]+(\.[0-9]+)?|({_DURATION_PART})+) *$"
_STRING_MAP: Schema = {"type": "object", "additionalProperties": _STRING}


@dataclass(frozen=True)
class DocumentKey:
    """A key of an object in a flow document. A key that is not required can be null.

    `schema` is the JSON Schema of the value; a `DocumentObject` in it is a nested object. `limits` are checked when a
    flow is saved, but do not hold for documents that were saved earlier. `is_literal`: YAML's `yes` or `010` is text.
    """

    name: str
    description: str
    schema: Schema
    limits: Schema = field(default_factory=dict)
    is_required: bool = False
    is_literal: bool = False


@dataclass(frozen=True)
class DocumentObject:
    """An object of a flow document. `aliases` are other names of its keys, which are accepted with a warning."""

    name: str
    description: str
    keys: tuple[DocumentKey, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def key_names(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys)

    def find_key(self, name: str) -> DocumentKey:
        return next(key for key in self.keys if key.name == name)


# The keys of an event and of a command that name the pack.
_PACK_KEYS = (
    DocumentKey("packName", "The name of its pack.", _STRING, _NAME_LIMITS, is_required=True, is_literal=True),
    DocumentKey("packLabels", "Labels that its pack must have; values are templates.", _STRING_MAP, is_literal=True),
)
_PACK_LABELS_ALIASES = {"labels": "packLabels"}

EVENT = DocumentObject(
    "event",
    "The event that a step waits for; label values are templates.",
    (
        DocumentKey("name", "The name of the event.", _STRING, _NAME_LIMITS, is_required=True, is_literal=True),
        *_PACK_KEYS,
    ),
    _PACK_LABELS_ALIASES,
)
COMMAND = DocumentObject(
    "command",
    "The command that a step sends to a pack; every string in the input is a template.",
    (
        DocumentKey("name", "The name of the command.", _STRING, _NAME_LIMITS, is_required=True, is_literal=True),
        *_PACK_KEYS,
        DocumentKey("input", "Any value; every string in it is a template.", {}),
        DocumentKey(
            "timeout",
            "How long a pack can hold the action without a heartbeat: `30s`, `10m`, `1h30m`, or a number of seconds.",
            {"oneOf": [_STRING, {"type": "number"}]},
            {"pattern": DURATION_PATTERN},
            is_literal=True,
        ),
        DocumentKey(
            "retries",
            "How often the action is retried after a FATAL result or an expired lease.",
            {"type": "integer"},
            {"minimum": 0, "maximum": MAX_RETRIES},
        ),
        DocumentKey(
            "backoff",
            "Seconds before the first retry; the delay doubles with each retry.",
            {"type": "number", "format": "double"},
            {"minimum": 0, "maximum": MAX_BACKOFF_SECONDS},
        ),
    ),
    _PACK_LABELS_ALIASES,
)
STEP = DocumentObject(
    "step",
    "A step: event, criteria, command.",
    (
        DocumentKey(
            "id",
            "Unique in the flow; `step-1`, `step-2` … if absent.",
            _STRING,
            _NAME_LIMITS | {"minLength": 0},
            is_literal=True,
        ),
        DocumentKey(
            "dependsOn",
            "Ids of steps that must finish first; with it, the step runs only inside their execution.",
            {"type": "array", "items": _STRING},
            is_literal=True,
        ),
        DocumentKey(
            "dependsOnMode",
            "`any`: one of these steps must finish; `all`: every one.",
            {"type": "string", "enum": list(DEPENDS_ON_MODES)},
            is_literal=True,
        ),
        DocumentKey("event", "The event that the step waits for.", {"object": EVENT}, is_required=True),
        DocumentKey("context", "Names and their templates, evaluated before the criteria.", _STRING_MAP),
        DocumentKey("criteria", "A template that must evaluate to true.", _STRING, _TEXT_LIMITS),
        DocumentKey("command", "The command to send to a pack.", {"object": COMMAND}, is_required=True),
    ),
)
FLOW = DocumentObject(
    "flow",
    "A flow document.",
    (
        DocumentKey(
            "name",
            "The name, which identifies the flow.",
            {**_STRING, "maxLength": MAX_NAME_LENGTH},
            _NAME_LIMITS,
            is_required=True,
            is_literal=True,
        ),
        DocumentKey("description", "Text for people.", _STRING, _TEXT_LIMITS, is_literal=True),
        DocumentKey("labels", "Labels for people; they do not identify the flow.", _STRING_MAP, is_literal=True),
        DocumentKey("enabled", "Whether the flow starts executions; unchanged if absent.", {"type": "boolean"}),
        DocumentKey("steps", "The steps of the flow.", {"type": "array", "items": {"object": STEP}}, is_required=True),
    ),
)


def list_key_names() -> list[str]:
    """List the keys of all objects, for completion in an editor, each once."""
    return list(dict.fromkeys(name for part in (FLOW, STEP, EVENT, COMMAND) for name in part.key_names))


def build_string_fields(part: DocumentObject) -> dict[str, StringFields]:
    """Build the map of the keys in which YAML's plain words are text, as `parse_yaml` takes it."""
    fields = {key.name: strings for key in part.keys if (strings := _find_strings(key)) is not None}
    fields |= {alias: fields[name] for alias, name in part.aliases.items()}
    return {name.lower(): strings for name, strings in fields.items()}


def _find_strings(key: DocumentKey) -> StringFields | None:
    items = key.schema.get("items", {})
    if nested := key.schema.get("object"):
        return build_string_fields(nested)
    if nested := items.get("object"):
        return {"*": build_string_fields(nested)}
    if not key.is_literal:
        return None
    return {"*": STRING} if key.schema.get("type") in ("array", "object") else STRING


FLOW_TEXT_FIELDS = build_string_fields(FLOW)


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
