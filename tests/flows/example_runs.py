"""Runs of the example flows: the trigger event of each, and the results of its actions."""

from typing import Any

SAID = "ReceivedMessage"

EXAMPLE_RUNS: dict[str, tuple[tuple[str, dict[str, str], str, Any], dict[str, tuple[str, Any]]]] = {
    "date": (
        ("Console", {}, SAID, {"message": "flyte date", "channelId": "c", "user": {"id": "ann"}}),
        {"asked": ("Output", {"exit_code": 0, "stdout": "Monday"}), "answer": ("MessageSent", None)},
    ),
    "label_build.json": (
        (
            "HipChat",
            {"env": "staging"},
            "MessageReceived",
            {"RoomId": "deployRoom", "User": "Karl", "Message": "add label staging to build 'abc-1.2.0'"},
        ),
        {"step-1": ("LabelAdded", None), "add_label": ("LabelAdded", None)},
    ),
    "deploy.yaml": (
        ("HipChat", {"env": "dev"}, "MessageReceived", {"RoomId": "r", "User": "K", "Message": "deploy foo-app 1.2.0"}),
        {"deploy": ("Deployed", None), "answer": ("MessageSent", None)},
    ),
    "deployment_failed.yaml": (
        ("Deployer", {}, "DeploymentFailed", {"app": "a", "version": "1", "team": "devs", "reason": "full"}),
        {"email_team": ("EmailSent", None)},
    ),
    "disk.yaml": (
        ("Slack", {}, SAID, {"message": "disk host=web1,path=/var", "channelId": "c", "threadTimestamp": ""}),
        {"asked": ("Output", {"exit_code": 1, "stderr": "no such host"})},
    ),
    "duty.yaml": (("Clock", {}, "Tick", {"time": "2026-11-23T09:00:30+01:00"}), {"choose": ("MessageSent", None)}),
    "release.yaml": (
        ("HipChat", {}, "MessageReceived", {"Message": "release 1.2.0"}),
        {
            "build_backend": ("BuildSuccessful", {"plan": "backend", "build": "b-7"}),
            "build_frontend": ("BuildSuccessful", {"plan": "frontend", "build": "f-9"}),
            "label_frontend": ("LabelAdded", None),
            "label_backend": ("LabelAdded", None),
        },
    ),
    "backup.yaml": (
        ("Timer", {}, "Tick", {"timer": "backup", "time": "2026-11-23T02:30:00+01:00", "data": {"folder": "/srv"}}),
        {"back_up": ("Output", {"exit_code": 2, "stderr": "no such folder"}), "report_failure": ("EmailSent", None)},
    ),
    "support.yaml": (
        (
            "Email",
            {},
            "EmailReceived",
            {"headers": {}, "from": {"address": "ann@example.com"}, "subject": "Help", "messageId": "<1@example.com>"},
        ),
        {"answer": ("EmailSent", None)},
    ),
    "pushed.yaml": (
        (
            "Git",
            {},
            "BranchPushed",
            {
                "repository": "app",
                "branch": "main",
                "kind": "forced",
                "commits": [{"title": "Mend it", "author": {"name": "Ann"}}],
                "more": False,
            },
        ),
        {"announce": ("MessageSent", None)},
    ),
    "review.yaml": (
        (
            "Webhook",
            {},
            "Received",
            {
                "hook": "code",
                "headers": {"X-GitHub-Event": "pull_request"},
                "body": {"action": "opened", "pull_request": {"user": {"login": "ann"}, "title": "T", "html_url": "u"}},
            },
        ),
        {"announce": ("MessageSent", None)},
    ),
    "build_successful.yaml": (("Bamboo", {"env": "staging1", "network": "lab"}, "BuildSuccessful", {}), {}),
    "echo.yaml": (
        ("Slack", {}, SAID, {"message": "echo hello", "channelId": "c", "threadTimestamp": "", "user": {"id": "U1"}}),
        {"echo": ("MessageSent", None)},
    ),
    "ticket.yaml": (
        (
            "Slack",
            {},
            SAID,
            {"message": "ticket: no paper", "channelId": "c", "threadTimestamp": "1.0", "user": {"name": "ann"}},
        ),
        {"create": ("CreateIssue", {"id": "HELP-1", "url": "https://jira/HELP-1"}), "reply": ("MessageSent", None)},
    ),
    "allowed.yaml": (
        (
            "Slack",
            {},
            SAID,
            {"message": "may I deploy", "channelId": "c", "threadTimestamp": "1.0", "user": {"name": "ann"}},
        ),
        {
            "look_up": ("GroupsRetrieved", {"username": "ann", "usergroups": ["deployers"]}),
            "answer": ("MessageSent", None),
        },
    ),
    "built.yaml": (
        ("Bamboo", {}, "BuildFailed", {"build": "WEB-MAIN-7", "seconds": 12, "url": "https://bamboo/WEB-MAIN-7"}),
        {"report_failure": ("MessageSent", None)},
    ),
    "merged.yaml": (("Bitbucket", {}, "PullRequestMerged", {"to": "main"}), {"build": ("PlanTriggered", None)}),
    "inventory.yaml": (
        (
            "Slack",
            {},
            SAID,
            {"message": "take 3 blue-chair", "channelId": "c", "threadTimestamp": "1.0", "user": {"name": "ann"}},
        ),
        {"take": ("Taken", {"left": 9}), "report_taken": ("MessageSent", None)},
    ),
    "hosts.yaml": (
        (
            "Slack",
            {},
            SAID,
            {"message": "restart nginx on web1", "channelId": "c", "threadTimestamp": "1.0", "user": {"id": "U1"}},
        ),
        {"restart": ("Output", {"exit_code": 0, "stderr": ""}), "report_success": ("MessageSent", None)},
    ),
}
