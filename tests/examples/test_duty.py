"""Cron, random numbers, base64, and a template from the datastore."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from .world import ExampleClient, ScriptedPack

pytestmark = pytest.mark.acceptance

FLOW = "duty.yaml"
DATASTORE = {"duty": "duty.json"}

MONDAY_AT_NINE = "2026-03-02T09:00:17Z"
MESSAGE = re.compile(
    r"Good morning! On 2026-03-02 (Ann|Bob|Cyd) is on duty, with the code ([A-Za-z]{8})\. "
    r"(https://duty\.example\.com/taken\?state=[A-Za-z0-9_-]+)"
)


def slack(world: ExampleClient) -> ScriptedPack:
    return world.pack("Slack", {"SendMessage": ["MessageSent"]})


def clock(world: ExampleClient) -> ScriptedPack:
    return world.pack("Clock")


def chosen(message: str) -> tuple[str, str, str]:
    """Return the name, the code and the link in the message."""
    match = MESSAGE.fullmatch(message)
    assert match, message
    return match[1], match[2], match[3]


def test_a_person_is_chosen_and_accepts_the_duty_by_the_link(world: ExampleClient) -> None:
    chat, web = slack(world), world.pack("Web")
    clock(world).send_event("Tick", {"time": MONDAY_AT_NINE})
    command, sent = chat.do("MessageSent")
    assert (command, sent["channelId"]) == ("SendMessage", "C0DUTY")
    name, code, link = chosen(sent["message"])
    (first,) = world.executions("duty_of_the_day")
    assert first["actions"]["choose"]["context"] == {"Name": name, "Code": code, "Day": "2026-03-02"}
    address = urlsplit(link)
    web.send_event("LinkOpened", {"path": address.path, "state": parse_qs(address.query)["state"][0]})
    answer = {"channelId": "C0DUTY", "message": f"{name} has accepted the duty of 2026-03-02"}
    assert chat.do("MessageSent") == ("SendMessage", answer)
    assert [list(execution["actions"]) for execution in world.executions("duty_of_the_day")] == [["taken"], ["choose"]]


def test_the_choice_is_random_and_every_code_is_different(world: ExampleClient) -> None:
    chat, ticking = slack(world), clock(world)
    choices = []
    # All 30 choose the same person once in 3^29 runs.
    for _ in range(30):
        ticking.send_event("Tick", {"time": MONDAY_AT_NINE})
        choices.append(chosen(chat.do("MessageSent")[1]["message"]))
    assert len({name for name, _, _ in choices}) > 1
    assert len({code for _, code, _ in choices}) == 30


@pytest.mark.parametrize(
    ("time", "fires"),
    [
        ("2026-03-06T09:00:59.5+01:00", True),
        ("2026-03-02T09:01:00Z", False),
        ("2026-03-02T10:00:00Z", False),
        ("2026-02-28T09:00:00Z", False),  # a Saturday
        ("2026-03-01T09:00:00Z", False),  # a Sunday
    ],
)
def test_only_nine_on_weekdays_counts(world: ExampleClient, time: str, fires: bool) -> None:
    chat = slack(world)
    clock(world).send_event("Tick", {"time": time})
    assert (chat.poll() is not None) is fires
    outcome = world.outcomes("duty_of_the_day", "Tick")["choose"]["outcome"]
    assert outcome == ("fired" if fires else "criteria")


def test_an_invalid_link_is_an_error_in_the_audit_and_starts_nothing(world: ExampleClient) -> None:
    chat = slack(world)
    world.pack("Web").send_event("LinkOpened", {"path": "/taken", "state": "%%%"})
    assert chat.poll() is None
    outcome = world.outcomes("duty_of_the_day", "LinkOpened")["taken"]
    assert (outcome["outcome"], outcome["path"]) == ("error", "steps[1].context.Name")
