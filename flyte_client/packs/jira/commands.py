"""The pack's commands, with the original pack's names."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.common.results import pick_fields, require_int, require_line, require_text, run_command
from flyte_client.packs.jira.input_fields import (
    as_mapping,
    build_issue_fields,
    get_optional_text,
    pick_echoed_fields,
)
from flyte_client.packs.jira.issues import MAX_RESULTS, JiraIssues, parse_issue_key

MAX_START_INDEX = 1_000_000


def declare_commands(pack: Pack, issues: JiraIssues) -> None:
    """Declare the pack's commands."""
    _declare_read_commands(pack, issues)

    @pack.command("CreateIssue", events=["CreateIssue", "CreateIssueFailure"])
    def create_issue(command_input: Any) -> Event:
        echoed = pick_echoed_fields(command_input)
        return _run_command("CreateIssue", echoed, lambda: issues.create_issue(build_issue_fields(command_input)))

    @pack.command("CommentIssue", events=["Comment", "CommentFailure"])
    def comment_issue(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "id", "comment")
        return _run_command(
            "Comment",
            echoed,
            lambda: issues.add_comment(parse_issue_key(echoed["id"]), require_text(echoed, "comment")),
        )

    @pack.command("DoTransition", events=["DoTransition", "DoTransitionFailure"])
    def do_transition(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "issueId", "transitionId", "transition")
        field_name = "transitionId" if echoed["transitionId"] else "transition"
        return _run_command(
            "DoTransition",
            echoed,
            lambda: issues.transition_issue(parse_issue_key(echoed["issueId"]), require_line(echoed, field_name)),
        )

    @pack.command("IssueAssign", events=["Assign", "AssignFailure"])
    def issue_assign(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "issueId", "username")
        return _run_command(
            "Assign",
            echoed,
            lambda: issues.assign_issue(parse_issue_key(echoed["issueId"]), get_optional_text(echoed, "username")),
        )


def _declare_read_commands(pack: Pack, issues: JiraIssues) -> None:
    @pack.command("IssueInfo", events=["Info", "InfoFailure"])
    def issue_info(command_input: Any) -> Event:
        echoed = {"id": command_input.get("id") if isinstance(command_input, dict) else command_input}
        return _run_command("Info", echoed, lambda: issues.get_issue(parse_issue_key(echoed["id"])))

    @pack.command("SearchIssues", events=["SearchSuccess", "SearchFailure"])
    def search_issues(command_input: Any) -> Event:
        query_fields = as_mapping(command_input)
        echoed = {
            "query": query_fields.get("query", ""),
            "startIndex": query_fields.get("startIndex", 0),
            "maxResults": query_fields.get("maxResults", 10),
        }

        def search() -> Mapping[str, Any]:
            start_index = require_int(echoed, "startIndex", 0, MAX_START_INDEX)
            max_results = require_int(echoed, "maxResults", 0, MAX_RESULTS)
            return {"startIndex": start_index, "maxResults": max_results} | issues.search_issues(
                require_line(echoed, "query"), start_index, max_results
            )

        return _run_command("SearchSuccess", echoed, search, "SearchFailure")


def _run_command(
    success_event: str, echoed: Mapping[str, Any], call: Callable[[], Mapping[str, Any] | None], failure_event: str = ""
) -> Event:
    return run_command(success_event, failure_event or f"{success_event}Failure", echoed, call, "Jira")
