"""Client for Jira's issues over its REST API, version 2."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.packs.common.rest_client import RestClient, RestError

API_PATH = "/rest/api/2"
ISSUE_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,50}-[0-9]{1,12}\Z|[0-9]{1,18}\Z")
ISSUE_FIELDS = "summary,status,description,assignee,reporter,priority,components,labels,issuetype"
MAX_RESULTS = 100
MAX_TEXT_LENGTH = 32_767


@dataclass(frozen=True)
class JiraIssues:
    """Jira operations. All raise `RestError`, or `ValueError` for an invalid argument."""

    rest: RestClient
    url: str

    def get_issue(self, issue_key: str) -> dict[str, Any]:
        response = self.rest.get(f"{API_PATH}/issue/{issue_key}", fields=ISSUE_FIELDS)
        return format_issue(response if isinstance(response, dict) else {})

    def search_issues(self, query: str, start_index: int, max_results: int) -> dict[str, Any]:
        parameters = {"jql": query, "startAt": start_index, "maxResults": max_results, "fields": ISSUE_FIELDS}
        response = self.rest.get(f"{API_PATH}/search", **parameters)  # type: ignore[arg-type] # all are text or numbers
        if not isinstance(response, dict) or not isinstance(response.get("issues"), list):
            raise RestError("unexpected response: no list of issues")
        return {
            "total": response.get("total", 0),
            "issues": [format_issue(issue) for issue in response["issues"] if isinstance(issue, dict)],
        }

    def create_issue(self, fields: Mapping[str, Any]) -> dict[str, str]:
        response = self.rest.post(f"{API_PATH}/issue", {"fields": fields})
        key = response.get("key") if isinstance(response, dict) else None
        if not isinstance(key, str):
            raise RestError("unexpected response: no issue key")
        return {"id": key, "url": f"{self.url}/browse/{key}"}

    def add_comment(self, issue_key: str, text: str) -> None:
        self.rest.post(f"{API_PATH}/issue/{issue_key}/comment", {"body": text})

    def assign_issue(self, issue_key: str, username: str) -> None:
        """Assign an issue; an empty `username` removes the assignee, `-1` selects Jira's default."""
        self.rest.put(f"{API_PATH}/issue/{issue_key}/assignee", {"name": username or None})

    def transition_issue(self, issue_key: str, name_or_id: str) -> dict[str, str]:
        """Run the transition with this id, name or target status; return its id, name and status."""
        response = self.rest.get(f"{API_PATH}/issue/{issue_key}/transitions")
        raw_transitions = response.get("transitions") if isinstance(response, dict) else None
        transitions = [transition for transition in raw_transitions or [] if isinstance(transition, dict)]
        transition = _choose_transition(transitions, name_or_id)
        self.rest.post(f"{API_PATH}/issue/{issue_key}/transitions", {"transition": {"id": str(transition.get("id"))}})
        return {
            "transitionId": str(transition.get("id")),
            "transition": _get_name(transition),
            "status": _get_name(transition.get("to")),
        }


def parse_issue_key(value: Any) -> str:
    """Parse an issue key such as `TEST-1`, also at the end of an address, and in Slack's `<` and `>`."""
    text = value.strip().removeprefix("<").removesuffix(">").partition("|")[0] if isinstance(value, str) else ""
    last = text.partition("?")[0].rstrip("/").rpartition("/")[2]
    if not ISSUE_KEY.match(last):
        raise ValueError(f"invalid issue key {str(value)[:100]!r}; use a key such as TEST-123")
    return last


def format_issue(issue: Mapping[str, Any]) -> dict[str, Any]:
    """Format an issue as the original pack does."""
    raw_fields = issue.get("fields")
    fields: Mapping[str, Any] = raw_fields if isinstance(raw_fields, dict) else {}
    return {
        "id": str(issue.get("key") or ""),
        "summary": str(fields.get("summary") or ""),
        "status": _get_name(fields.get("status")),
        "description": str(fields.get("description") or "")[:MAX_TEXT_LENGTH],
        "assignee": _get_person(fields.get("assignee")),
        "reporter": _get_person(fields.get("reporter")),
        "priority": _get_name(fields.get("priority")),
        "components": [_get_name(item) for item in fields.get("components") or []],
        "labels": [str(item) for item in fields.get("labels") or []],
        "type": _get_name(fields.get("issuetype")),
    }


def _choose_transition(transitions: Sequence[Mapping[str, Any]], name_or_id: str) -> Mapping[str, Any]:
    predicates: tuple[Any, ...] = (
        lambda transition: str(transition.get("id")) == name_or_id,
        lambda transition: _get_name(transition).casefold() == name_or_id.casefold(),
        lambda transition: _get_name(transition.get("to")).casefold() == name_or_id.casefold(),
    )
    for predicate in predicates:
        matches = [transition for transition in transitions if predicate(transition)]
        if len(matches) == 1:
            return matches[0]
    names = ", ".join(_get_name(transition) for transition in transitions) or "none"
    raise ValueError(f"transition {name_or_id[:100]!r} not found or ambiguous; available: {names}")


def _get_name(value: Any) -> str:
    return str(value.get("name") or "") if isinstance(value, dict) else ""


def _get_person(value: Any) -> str:
    """Return the mail address if Jira provides it, else the name."""
    if not isinstance(value, dict):
        return ""
    return str(value.get("emailAddress") or value.get("name") or value.get("displayName") or "")
