"""The JSON Schema of a flow document, for editors and other programs: `docs/reference/flow.schema.json`.

`python -m flows.definition.json_schema > docs/reference/flow.schema.json` writes it.
"""

import json
import sys
from typing import Any

from flows.definition.document import COMMAND, EVENT, FLOW, STEP, DocumentKey, DocumentObject, Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def build_json_schema() -> dict[str, Any]:
    """Build the schema. It accepts what the parser accepts, except for templates and references between steps."""
    definitions = {part.name: _build_object(part) for part in (STEP, EVENT, COMMAND)}
    flow = _build_object(FLOW)
    flow["properties"]["links"] = {"description": "The links in the server's responses; not stored."}
    return {"$schema": DIALECT, "title": "Flyte flow", **flow, "$defs": definitions}


def _build_object(part: DocumentObject) -> dict[str, Any]:
    properties = {key.name: _build_key(key) for key in part.keys}
    schema: dict[str, Any] = {
        "description": part.description,
        "type": "object",
        "additionalProperties": False,
        "required": [key.name for key in part.keys if key.is_required],
        "properties": properties,
    }
    for alias, name in part.aliases.items():
        properties[alias] = {**properties[name], "deprecated": True}
        schema["not"] = {"required": [alias, name]}
    return schema


def _build_key(key: DocumentKey) -> dict[str, Any]:
    schema = _convert_schema({**key.schema, **key.limits})
    if not key.is_required and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if not key.is_required and "oneOf" in schema:
        schema["oneOf"] = [*schema["oneOf"], {"type": "null"}]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], "", None]
    return {"description": key.description, **schema}


def _convert_schema(schema: Schema) -> dict[str, Any]:
    """Convert a value's schema: nested objects become references, and the values of a mapping can be null."""
    if part := schema.get("object"):
        return {"$ref": f"#/$defs/{part.name}"}
    converted = {name: value for name, value in schema.items() if name != "format"}
    if "items" in schema:
        converted["items"] = _convert_schema(schema["items"])
    if "additionalProperties" in schema:
        converted["additionalProperties"] = {"type": [schema["additionalProperties"]["type"], "null"]}
    return converted


def format_json_schema() -> str:
    return json.dumps(build_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(format_json_schema())
