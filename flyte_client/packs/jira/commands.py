"""The commands, by the original pack's names."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.basis.outcomes import given, outcome, text
from flyte_client.packs.jira.inputs import mapping, most_results, new_issue, optional_text, told_of, whole
from flyte_client.packs.jira.issues import Issues, key

MOST_SKIPPED = 1_000_000


def declare_commands(pack: Pack, issues: Issues) -> None:
    """Give the pack its commands."""
    _declare_reading(pack, issues)

    @pack.command("CreateIssue", events=["CreateIssue", "CreateIssueFailure"])
    def create_issue(fields: Any) -> Event:
        told = told_of(fields)
        return _event("CreateIssue", told, lambda: issues.create(new_issue(fields)))

    @pack.command("CommentIssue", events=["Comment", "CommentFailure"])
    def comment_issue(fields: Any) -> Event:
        told = given(fields, "id", "comment")
        return _event("Comment", told, lambda: issues.comment(key(told["id"]), text(told, "comment")))

    @pack.command("DoTransition", events=["DoTransition", "DoTransitionFailure"])
    def do_transition(fields: Any) -> Event:
        told = given(fields, "issueId", "transitionId", "transition")
        wanted = "transitionId" if told["transitionId"] else "transition"
        return _event("DoTransition", told, lambda: issues.transition(key(told["issueId"]), text(told, wanted)))

    @pack.command("IssueAssign", events=["Assign", "AssignFailure"])
    def issue_assign(fields: Any) -> Event:
        told = given(fields, "issueId", "username")
        return _event("Assign", told, lambda: issues.assign(key(told["issueId"]), optional_text(told, "username")))


def _declare_reading(pack: Pack, issues: Issues) -> None:
    @pack.command("IssueInfo", events=["Info", "InfoFailure"])
    def issue_info(fields: Any) -> Event:
        told = {"id": fields.get("id") if isinstance(fields, dict) else fields}
        return _event("Info", told, lambda: issues.info(key(told["id"])))

    @pack.command("SearchIssues", events=["SearchSuccess", "SearchFailure"])
    def search_issues(fields: Any) -> Event:
        known = mapping(fields)
        told = {
            "query": known.get("query", ""),
            "startIndex": known.get("startIndex", 0),
            "maxResults": known.get("maxResults", 10),
        }

        def search() -> Mapping[str, Any]:
            start, most = whole(told, "startIndex", 0, MOST_SKIPPED), most_results(told)
            return {"startIndex": start, "maxResults": most} | issues.search(text(told, "query"), start, most)

        return _event("SearchSuccess", told, search, "SearchFailure")


def _event(name: str, told: Mapping[str, Any], do: Callable[[], Mapping[str, Any] | None], failed: str = "") -> Event:
    return outcome(name, failed or f"{name}Failure", "Jira", told, do)
