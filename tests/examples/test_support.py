"""Mail to support is answered, except automatic mail."""

from typing import Any

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "support.yaml"


def mail(address: str = "ann@example.com", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sender = {"name": "Ann", "address": address}
    return {"messageId": "<1@example.com>", "from": sender, "subject": "Help", "text": "", "headers": named}


def test_the_sender_is_answered(world: ExampleClient) -> None:
    email = world.pack("Email", {"SendEmail": ["EmailSent", "SendEmailFailed"]})
    email.send_event("EmailReceived", mail())
    command, answer = email.do("EmailSent")
    assert (command, answer["to"], answer["subject"]) == ("SendEmail", "ann@example.com", "Re: Help")
    assert answer["inReplyTo"] == "<1@example.com>"


@pytest.mark.parametrize("message", [mail(Auto_Submitted="auto-replied"), mail(List_Id="<l.example.com>"), mail("")])
def test_automatic_mail_is_not_answered(world: ExampleClient, message: dict[str, Any]) -> None:
    email = world.pack("Email", {"SendEmail": ["EmailSent", "SendEmailFailed"]})
    email.send_event("EmailReceived", message)
    assert email.poll() is None
    assert world.outcomes("support", "EmailReceived")["answer"]["outcome"] == "criteria"
