"""Warnings about unregistered packs, events and commands, with suggestions."""

from typing import Any

import pytest

from flows.definition import parse_flow
from flows.definition.checks.registry import find_registry_warnings
from flows.definition.editor.report import validate_text
from packs import registry
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def slack() -> None:
    events = [{"name": "ReceivedMessage"}]
    commands = [{"name": "SendMessage", "events": ["MessageSent"]}]
    registry.register({"name": "Slack", "labels": {}, "commands": commands, "events": events, "links": []})


def flow(pack: str = "Slack", event: str = "ReceivedMessage", command: str = "SendMessage") -> dict[str, Any]:
    return b.document(
        b.step(event={"packName": pack, "name": event}, command={"packName": "Slack", "name": command}), name="f"
    )


@pytest.mark.parametrize(
    ("names", "path", "message"),
    [
        ({"pack": "Slak"}, "event.packName", "no pack 'Slak' is registered; did you mean 'Slack'?"),
        ({"pack": "slack"}, "event.packName", "no pack 'slack' is registered; did you mean 'Slack'?"),
        ({"pack": "Jira"}, "event.packName", "no pack 'Jira' is registered"),
        (
            {"event": "RecievedMessage"},
            "event.name",
            "pack 'Slack' has no event 'RecievedMessage'; did you mean 'ReceivedMessage'?",
        ),
        (
            {"command": "SendMesage"},
            "command.name",
            "pack 'Slack' has no command 'SendMesage'; did you mean 'SendMessage'?",
        ),
        ({"command": "Sing"}, "command.name", "pack 'Slack' has no command 'Sing'"),
    ],
)
def test_an_unregistered_name_gives_a_warning_with_a_suggestion(names: dict[str, str], path: str, message: str) -> None:
    assert [(warning.path, warning.message) for warning in find_registry_warnings(parse_flow(flow(**names)))] == [
        (f"steps[0].{path}", message)
    ]


def test_registered_and_built_in_names_give_no_warning() -> None:
    for event in ("ReceivedMessage", "MessageSent", "FATAL"):
        assert find_registry_warnings(parse_flow(flow(event=event))) == []


def test_a_missing_name_is_an_error_without_a_warning() -> None:
    report = validate_text("name: f\nsteps:\n- event: {packName: Slack}\n  command: {name: Do, packName: Slak}\n")
    assert [(issue.kind, issue.path) for issue in report.issues] == [
        ("error", "steps[0].event.name"),
        ("warning", "steps[0].command.packName"),
    ]
