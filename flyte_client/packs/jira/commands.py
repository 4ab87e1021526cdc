"""The commands, by the original pack's names."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.basis.rest import RestError
from flyte_client.packs.jira.inputs import mapping, most_results, new_issue, optional_text, text, told_of, whole
from flyte_client.packs.jira.issues import Issues, key

MOST_SKIPPED = 1_000_000


def declare_commands(pack: Pack, issues: Issues) -> None:
    """Give the pack its commands."""
    _declare_reading(pack, issues)

    @pack.command("CreateIssue", events=["CreateIssue", "CreateIssueFailure"])
    def create_issue(given: Any) -> Event:
        told = told_of(given)
        return _event("CreateIssue", told, lambda: issues.create(new_issue(given)))

    @pack.command("CommentIssue", events=["Comment", "CommentFailure"])
    def comment_issue(given: Any) -> Event:
        told = _given(given, "id", "comment")
        return _event("Comment", told, lambda: issues.comment(key(told["id"]), text(told, "comment")))

    @pack.command("DoTransition", events=["DoTransition", "DoTransitionFailure"])
    def do_transition(given: Any) -> Event:
        told = _given(given, "issueId", "transitionId", "transition")
        wanted = "transitionId" if told["transitionId"] else "transition"
        return _event("DoTransition", told, lambda: issues.transition(key(told["issueId"]), text(told, wanted)))

    @pack.command("IssueAssign", events=["Assign", "AssignFailure"])
    def issue_assign(given: Any) -> Event:
        told = _given(given, "issueId", "username")
        return _event("Assign", told, lambda: issues.assign(key(told["issueId"]), optional_text(told, "username")))


def _declare_reading(pack: Pack, issues: Issues) -> None:
    @pack.command("IssueInfo", events=["Info", "InfoFailure"])
    def issue_info(given: Any) -> Event:
        told = {"id": given.get("id") if isinstance(given, dict) else given}
        return _event("Info", told, lambda: issues.info(key(told["id"])))

    @pack.command("SearchIssues", events=["SearchSuccess", "SearchFailure"])
    def search_issues(given: Any) -> Event:
        fields = mapping(given)
        told = {
            "query": fields.get("query", ""),
            "startIndex": fields.get("startIndex", 0),
            "maxResults": fields.get("maxResults", 10),
        }

        def search() -> Mapping[str, Any]:
            start, most = whole(told, "startIndex", 0, MOST_SKIPPED), most_results(told)
            return {"startIndex": start, "maxResults": most} | issues.search(text(told, "query"), start, most)

        return _event("SearchSuccess", told, search, "SearchFailure")


def _given(given: Any, *names: str) -> dict[str, Any]:
    fields = mapping(given)
    return {name: fields.get(name) or "" for name in names}


def _event(name: str, told: Mapping[str, Any], do: Callable[[], Mapping[str, Any] | None], failure: str = "") -> Event:
    """The event `name` with what was given and what came of it, or the one for its failure."""
    try:
        return Event(name, {**told, **(do() or {})})
    except ValueError as error:
        words = {"error": str(error), "temporary": False}
    except RestError as error:
        words = {"error": f"Jira: {error}", "temporary": error.temporary}
    return Event(failure or f"{name}Failure", {**told, **words})
