"""A chat message creates an issue, and the chat gets its key."""

import pytest

from .world import ExampleClient, ScriptedPack, states

pytestmark = pytest.mark.acceptance

FLOW = "ticket.yaml"


def request_ticket(world: ExampleClient) -> tuple[ScriptedPack, ScriptedPack]:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent", "SendMessageFailed"]})
    jira = world.pack("Jira", {"CreateIssue": ["CreateIssue", "CreateIssueFailure"]})
    said = {"channelId": "C1", "user": {"name": "ann"}, "message": "ticket: No ink", "threadTimestamp": "17.5"}
    slack.send_event("ReceivedMessage", said)
    return slack, jira


def test_the_issue_is_posted_in_the_thread(world: ExampleClient) -> None:
    slack, jira = request_ticket(world)
    description = "Requested by ann in the chat."
    made = {"project": "HELP", "issuetype": "Task", "summary": "No ink", "description": description}
    assert jira.do("CreateIssue", {"id": "HELP-1", "url": "https://jira/browse/HELP-1"}) == ("CreateIssue", made)
    _, message = slack.do("MessageSent")
    assert message == {"channelId": "C1", "threadTimestamp": "17.5", "message": "HELP-1: https://jira/browse/HELP-1"}
    assert states(world.execution("ticket")) == {"create": "SUCCESS", "reply": "SUCCESS"}


def test_a_failure_is_posted_in_the_thread(world: ExampleClient) -> None:
    slack, jira = request_ticket(world)
    jira.do("CreateIssueFailure", {"error": "Jira: status 400: project is required"})
    assert slack.do("MessageSent")[1]["message"] == "Creating the ticket failed: Jira: status 400: project is required"
    assert states(world.execution("ticket")) == {"create": "SUCCESS", "report_error": "SUCCESS"}
