"""What is warned of: packs, events and commands that nobody has registered, with the name that was probably meant."""

from typing import Any

import pytest

from flows.definition import parse_flow
from flows.definition.registry_checks import find_registry_warnings
from flows.definition.validation import validate_text
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
            "no pack 'Slack' has declared an event 'RecievedMessage'; did you mean 'ReceivedMessage'?",
        ),
        (
            {"command": "SendMesage"},
            "command.name",
            "no pack 'Slack' has registered a command 'SendMesage'; did you mean 'SendMessage'?",
        ),
        ({"command": "Sing"}, "command.name", "no pack 'Slack' has registered a command 'Sing'"),
    ],
)
def test_what_is_not_registered_is_told_with_what_was_meant(names: dict[str, str], path: str, message: str) -> None:
    assert [(one.path, one.message) for one in find_registry_warnings(parse_flow(flow(**names)))] == [
        (f"steps[0].{path}", message)
    ]


def test_what_is_registered_and_what_may_always_come_is_not_warned_of() -> None:
    for event in ("ReceivedMessage", "MessageSent", "FATAL"):
        assert find_registry_warnings(parse_flow(flow(event=event))) == []


def test_a_name_that_is_missing_is_an_error_and_no_warning_besides() -> None:
    found = validate_text("name: f\nsteps:\n- event: {packName: Slack}\n  command: {name: Do, packName: Slak}\n")
    assert [(one.kind, one.path) for one in found.issues] == [
        ("error", "steps[0].event.name"),
        ("warning", "steps[0].command.packName"),
    ]
