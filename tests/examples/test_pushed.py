"""The chat is notified of pushes to main, and of an unreachable repository."""

from typing import Any

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "pushed.yaml"


def commit(message: str) -> dict[str, Any]:
    return {"id": "1", "author": {"name": "Ann", "email": "ann@example.com"}, "title": message}


def push(**fields: Any) -> dict[str, Any]:
    return {"repository": "app", "branch": "main", "kind": "updated", "commits": [], "more": False} | fields


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (push(commits=[commit("Third"), commit("Second")]), "app: Third (Ann), Second (Ann)"),
        (push(kind="forced", commits=[commit("New")], more=True), "app: history was rewritten! New (Ann) and more"),
    ],
)
def test_a_push_is_posted_with_its_commits(world: ExampleClient, payload: dict[str, Any], message: str) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Git").send_event("BranchPushed", payload)
    assert slack.do("MessageSent")[1]["message"] == message


def test_other_branches_are_not_posted(world: ExampleClient) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Git").send_event("BranchPushed", push(branch="topic"))
    assert slack.poll() is None


def test_an_unreachable_repository_is_reported(world: ExampleClient) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.pack("Git").send_event("RepositoryUnreachable", {"repository": "app", "error": "no such host"})
    assert slack.do("MessageSent")[1]["message"] == "app is unreachable: no such host"
