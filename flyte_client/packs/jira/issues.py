"""Jira's issues over its REST API, version 2."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.packs.basis.rest import Rest, RestError

API = "/rest/api/2"
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,50}-[0-9]{1,12}\Z|[0-9]{1,18}\Z")
FIELDS = "summary,status,description,assignee,reporter,priority,components,labels,issuetype"
MOST_RESULTS = 100
LONGEST_TEXT = 32_767


@dataclass(frozen=True)
class Issues:
    """Each does one thing; all raise `RestError`, or `ValueError` for what can't be asked."""

    rest: Rest
    url: str

    def info(self, issue: str) -> dict[str, Any]:
        found = self.rest.get(f"{API}/issue/{issue}", fields=FIELDS)
        return told(found if isinstance(found, dict) else {})

    def search(self, query: str, start: int, most: int) -> dict[str, Any]:
        asked = {"jql": query, "startAt": start, "maxResults": most, "fields": FIELDS}
        found = self.rest.get(f"{API}/search", **asked)  # type: ignore[arg-type] # all are text or numbers
        if not isinstance(found, dict) or not isinstance(found.get("issues"), list):
            raise RestError("the answer lists no issues")
        return {
            "total": found.get("total", 0),
            "issues": [told(one) for one in found["issues"] if isinstance(one, dict)],
        }

    def create(self, fields: Mapping[str, Any]) -> dict[str, str]:
        made = self.rest.post(f"{API}/issue", {"fields": fields})
        key = made.get("key") if isinstance(made, dict) else None
        if not isinstance(key, str):
            raise RestError("the answer names no issue")
        return {"id": key, "url": f"{self.url}/browse/{key}"}

    def comment(self, issue: str, text: str) -> None:
        self.rest.post(f"{API}/issue/{issue}/comment", {"body": text})

    def assign(self, issue: str, username: str) -> None:
        """To nobody where `username` is empty; `-1` leaves it to Jira."""
        self.rest.put(f"{API}/issue/{issue}/assignee", {"name": username or None})

    def transition(self, issue: str, wanted: str) -> dict[str, str]:
        """Do the transition of this id or name, or the one that leads to a status of this name; what was done."""
        answer = self.rest.get(f"{API}/issue/{issue}/transitions")
        there = answer.get("transitions") if isinstance(answer, dict) else None
        found = [one for one in there or [] if isinstance(one, dict)]
        one = _chosen(found, wanted)
        self.rest.post(f"{API}/issue/{issue}/transitions", {"transition": {"id": str(one.get("id"))}})
        return {"transitionId": str(one.get("id")), "transition": _name(one), "status": _name(one.get("to"))}


def key(given: Any) -> str:
    """An issue's key out of `TEST-1`, an address that ends so, or the same between Slack's `<` and `>`."""
    text = given.strip().removeprefix("<").removesuffix(">").partition("|")[0] if isinstance(given, str) else ""
    last = text.partition("?")[0].rstrip("/").rpartition("/")[2]
    if not KEY.match(last):
        raise ValueError(f"{str(given)[:100]!r} is no issue, such as TEST-123")
    return last


def told(issue: Mapping[str, Any]) -> dict[str, Any]:
    """An issue as the original pack tells of it."""
    given = issue.get("fields")
    fields: Mapping[str, Any] = given if isinstance(given, dict) else {}
    return {
        "id": str(issue.get("key") or ""),
        "summary": str(fields.get("summary") or ""),
        "status": _name(fields.get("status")),
        "description": str(fields.get("description") or "")[:LONGEST_TEXT],
        "assignee": _person(fields.get("assignee")),
        "reporter": _person(fields.get("reporter")),
        "priority": _name(fields.get("priority")),
        "components": [_name(one) for one in fields.get("components") or []],
        "labels": [str(one) for one in fields.get("labels") or []],
        "type": _name(fields.get("issuetype")),
    }


def _chosen(found: Sequence[Mapping[str, Any]], wanted: str) -> Mapping[str, Any]:
    ways: tuple[Any, ...] = (
        lambda one: str(one.get("id")) == wanted,
        lambda one: _name(one).casefold() == wanted.casefold(),
        lambda one: _name(one.get("to")).casefold() == wanted.casefold(),
    )
    for way in ways:
        fitting = [one for one in found if way(one)]
        if len(fitting) == 1:
            return fitting[0]
    names = ", ".join(_name(one) for one in found) or "none"
    raise ValueError(f"there is no one transition {wanted[:100]!r} now; there are: {names}")


def _name(value: Any) -> str:
    return str(value.get("name") or "") if isinstance(value, dict) else ""


def _person(value: Any) -> str:
    """The mail address where Jira tells it, else the name."""
    if not isinstance(value, dict):
        return ""
    return str(value.get("emailAddress") or value.get("name") or value.get("displayName") or "")
