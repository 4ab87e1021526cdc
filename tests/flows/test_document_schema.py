"""The definition of a flow document, and its derivatives: JSON Schema, API description, completion in the editor."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from flows.definition import FlowValidationError, parse_flow
from flows.definition.document import COMMAND, EVENT, FLOW, STEP, DocumentObject
from flows.definition.editor.autocomplete import collect_words
from flows.definition.json_schema import build_json_schema, format_json_schema
from flyte_site.http.input.parsing import parse_yaml

ROOT = Path(__file__).parent.parent.parent
PUBLISHED = ROOT / "docs/reference/flow.schema.json"
EXAMPLES = sorted((ROOT / "examples/flows").glob("*.yaml"))
COMPLETE_FLOW: dict[str, Any] = {
    "name": "deploy",
    "description": "deploys",
    "labels": {"team": "web"},
    "enabled": False,
    "steps": [
        {
            "id": "start",
            "event": {"name": "Message", "packName": "Slack", "packLabels": {"env": "prod"}},
            "context": {"Who": "{{ Event.Payload.user }}"},
            "criteria": "{{ Event.Payload.message == 'deploy' }}",
            "command": {
                "name": "Shell",
                "packName": "Shell",
                "packLabels": {"env": "prod"},
                "input": ["./deploy.sh", 5, None],
                "timeout": "1h30m",
                "retries": 3,
                "backoff": 0.5,
            },
        },
        {
            "dependsOn": ["start"],
            "dependsOnMode": "all",
            "event": {"name": "Output", "packName": "Shell"},
            "command": {"name": "SendMessage", "packName": "Slack"},
        },
    ],
}

Change = Callable[[dict[str, Any]], Any]


def is_valid(document: Any) -> bool:
    return bool(Draft202012Validator(build_json_schema()).is_valid(document))


def is_accepted(document: Any) -> bool:
    try:
        parse_flow(document)
    except FlowValidationError:
        return False
    return True


def set_key(path: str, value: Any) -> Change:
    def change(flow: dict[str, Any]) -> None:
        *parents, key = path.split(".")
        target = flow
        for parent in parents:
            target = target[int(parent)] if isinstance(target, list) else target[parent]
        target[key] = value

    return change


def remove_key(path: str) -> Change:
    def change(flow: dict[str, Any]) -> None:
        *parents, key = path.split(".")
        target = flow
        for parent in parents:
            target = target[int(parent)] if isinstance(target, list) else target[parent]
        del target[key]

    return change


ACCEPTED = [
    set_key("steps", []),
    set_key("links", [{"href": "http://localhost", "rel": "self"}]),
    set_key("steps.1.id", "x" * 255),
    set_key("steps.1.id", ""),
    set_key("steps.1.dependsOnMode", ""),
    set_key("steps.1.event.labels", {"env": "prod"}),
    set_key("steps.0.event.packLabels", {"env": None}),
    set_key("steps.0.command.retries", 100),
    *(set_key("steps.0.command.timeout", value) for value in (90, 1.5, "90", "1w 2d", "3 min 5 s", "1500ms")),
    set_key("steps.0.command.backoff", 86_400),
    *(set_key(key, None) for key in ("description", "labels", "enabled")),
    *(set_key(f"steps.0.{key}", None) for key in ("context", "criteria")),
    *(set_key(f"steps.1.{key}", None) for key in ("id", "dependsOnMode")),
    *(set_key(f"steps.0.command.{key}", None) for key in ("packLabels", "input", "timeout", "retries", "backoff")),
]
REJECTED = [
    remove_key("name"),
    remove_key("steps"),
    remove_key("steps.0.event"),
    remove_key("steps.0.command.packName"),
    set_key("name", ""),
    set_key("name", None),
    set_key("name", 5),
    set_key("name", "x" * 256),
    set_key("name", "two\nlines"),
    set_key("description", ["text"]),
    set_key("description", "NUL \x00"),
    set_key("labels", {"team": 1}),
    set_key("enabled", "yes"),
    set_key("steps", {}),
    set_key("steps", None),
    set_key("colour", "red"),
    set_key("steps.0.links", []),
    set_key("steps.0.id", "x" * 256),
    set_key("steps.0.event", "Message"),
    set_key("steps.0.event.input", {}),
    set_key("steps.0.event.labels", {"env": "prod"}),
    set_key("steps.0.context", {"Who": True}),
    set_key("steps.0.criteria", True),
    set_key("steps.1.dependsOn", "start"),
    set_key("steps.1.dependsOn", [1]),
    set_key("steps.1.dependsOnMode", "none"),
    set_key("steps.0.command.timeout", "soon"),
    set_key("steps.0.command.timeout", ""),
    set_key("steps.0.command.timeout", "1x"),
    set_key("steps.0.command.timeout", "1h30"),
    set_key("steps.0.command.timeout", True),
    set_key("steps.0.command.timeout", ["1h"]),
    set_key("steps.0.command.retries", -1),
    set_key("steps.0.command.retries", 101),
    set_key("steps.0.command.retries", True),
    set_key("steps.0.command.retries", 0.5),
    set_key("steps.0.command.backoff", 86_401),
    set_key("steps.0.command.backoff", "1"),
]


def build_flow(change: Change) -> dict[str, Any]:
    flow = copy.deepcopy(COMPLETE_FLOW)
    change(flow)
    return flow


@pytest.mark.unit
@pytest.mark.parametrize("change", ACCEPTED)
def test_the_schema_accepts_what_the_parser_accepts(change: Change) -> None:
    flow = build_flow(change)
    assert is_accepted(flow)
    assert is_valid(flow), list(Draft202012Validator(build_json_schema()).iter_errors(flow))


@pytest.mark.unit
@pytest.mark.parametrize("change", REJECTED)
def test_the_schema_rejects_what_the_parser_rejects(change: Change) -> None:
    flow = build_flow(change)
    assert not is_accepted(flow)
    assert not is_valid(flow)


@pytest.mark.unit
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_schema_accepts_every_example(path: Path) -> None:
    flow = parse_yaml(path.read_text())
    assert is_accepted(flow)
    assert is_valid(flow), list(Draft202012Validator(build_json_schema()).iter_errors(flow))


@pytest.mark.unit
def test_the_complete_flow_has_every_key() -> None:
    first, second = COMPLETE_FLOW["steps"]
    assert set(COMPLETE_FLOW) == set(FLOW.key_names)
    assert {*first, *second} == set(STEP.key_names)
    assert set(first["event"]) == set(EVENT.key_names)
    assert set(first["command"]) == set(COMMAND.key_names)
    assert is_accepted(COMPLETE_FLOW)
    assert is_valid(COMPLETE_FLOW)


@pytest.mark.unit
def test_the_published_schema_is_the_generated_one() -> None:
    command = "python -m flows.definition.json_schema > docs/reference/flow.schema.json"
    assert PUBLISHED.read_text() == format_json_schema(), f"run: {command}"
    Draft202012Validator.check_schema(json.loads(PUBLISHED.read_text()))


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("component", "part"),
    [("FlowInput", FLOW), ("StepSchema", STEP), ("StepEventSchema", EVENT), ("StepCommandSchema", COMMAND)],
)
def test_the_api_describes_the_same_keys(client: Client, component: str, part: DocumentObject) -> None:
    schema = yaml.safe_load(client.get("/v1/swagger").content)["components"]["schemas"][component]
    assert set(schema["properties"]) == set(part.key_names)
    assert schema["required"] == sorted(key.name for key in part.keys if key.is_required)
    for key in part.keys:
        assert schema["properties"][key.name]["description"] == key.description


@pytest.mark.integration
@pytest.mark.django_db
def test_the_editor_completes_the_same_keys() -> None:
    assert set(collect_words()["keys"]) == {name for part in (FLOW, STEP, EVENT, COMMAND) for name in part.key_names}
