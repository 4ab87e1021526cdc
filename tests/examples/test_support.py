"""Mail to support is answered, except automatic mail."""

from typing import Any

import pytest

from .world import World

pytestmark = pytest.mark.acceptance

FLOW = "support.yaml"


def mail(address: str = "ann@example.com", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sender = {"name": "Ann", "address": address}
    return {"messageId": "<1@example.com>", "from": sender, "subject": "Help", "text": "", "headers": named}


def test_the_writer_is_answered(world: World) -> None:
    email = world.pack("Email", {"SendEmail": ["EmailSent", "SendEmailFailed"]})
    email.tell("EmailReceived", mail())
    command, answer = email.do("EmailSent")
    assert (command, answer["to"], answer["subject"]) == ("SendEmail", "ann@example.com", "Re: Help")
    assert answer["inReplyTo"] == "<1@example.com>"


@pytest.mark.parametrize("given", [mail(Auto_Submitted="auto-replied"), mail(List_Id="<l.example.com>"), mail("")])
def test_machines_are_not(world: World, given: dict[str, Any]) -> None:
    email = world.pack("Email", {"SendEmail": ["EmailSent", "SendEmailFailed"]})
    email.tell("EmailReceived", given)
    assert email.poll() is None
    assert world.outcomes("support", "EmailReceived")["answer"]["outcome"] == "criteria"
