"""Bitbucket's repositories and pull requests over its REST API, version 1.0."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.basis.news import Item
from flyte_client.packs.basis.rest import Rest, RestError
from flyte_client.packs.bitbucket.settings import REPOSITORY

API = "/rest/api/1.0"
LOOKED_AT = 100
STATES = {"OPEN": "PullRequestOpened", "MERGED": "PullRequestMerged", "DECLINED": "PullRequestDeclined"}
LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class Repositories:
    """`project` is a key, `name` a repository's slug.

    All raise `RestError`, or `ValueError` for what can't be asked.
    """

    rest: Rest

    def create(self, project: str, name: str) -> dict[str, str]:
        made = self.rest.post(f"{_project(project)}/repos", {"name": name, "scmId": "git"})
        return {"url": _link(made)}

    def open_request(self, project: str, name: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """A pull request from the branch `from` to the branch `to`; its id and address."""
        where = {"slug": name, "project": {"key": project}}
        body = {
            "title": asked["title"],
            "description": asked["description"],
            "fromRef": {"id": _branch(asked["from"]), "repository": where},
            "toRef": {"id": _branch(asked["to"]), "repository": where},
        }
        made = self.rest.post(f"{_path(project, name)}/pull-requests", body)
        return {"id": _number(made), "url": _link(made)}

    def comment(self, project: str, name: str, request: int, comment: str) -> None:
        self.rest.post(f"{_path(project, name)}/pull-requests/{request}/comments", {"text": comment})

    def merge(self, project: str, name: str, request: int) -> dict[str, Any]:
        """Merge it as it is now: where it is changed meanwhile, Bitbucket refuses."""
        path = f"{_path(project, name)}/pull-requests/{request}"
        found = self.rest.get(path)
        version = found.get("version") if isinstance(found, dict) else None
        if not isinstance(version, int):
            raise RestError("the answer has no version of the pull request")
        merged = self.rest.post(f"{path}/merge", version=version)
        return {"state": str(merged.get("state") or "") if isinstance(merged, dict) else "", "url": _link(merged)}

    def requests(self, repository: str, ending: threading.Event) -> Sequence[Item]:
        """The repository's last pull requests, oldest first."""
        project, _, name = repository.partition("/")
        query: dict[str, str | int] = {"state": "ALL", "order": "NEWEST", "limit": LOOKED_AT}
        answer = self.rest.get(f"{_path(project, name)}/pull-requests", ending, **query)
        found = answer.get("values") if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise RestError("the answer lists no pull requests")
        items = [_item(project, name, one) for one in found if isinstance(one, dict)]
        return [item for item in reversed(items) if item]


def _item(project: str, name: str, request: Mapping[str, Any]) -> Item | None:
    state, number = str(request.get("state")), request.get("id")
    if state not in STATES or not isinstance(number, int):
        return None
    payload = {
        "project": project,
        "name": name,
        "id": number,
        "title": str(request.get("title") or ""),
        "description": str(request.get("description") or "")[:LONGEST_TEXT],
        "author": _author(request.get("author")),
        "from": _shown(request.get("fromRef")),
        "to": _shown(request.get("toRef")),
        "url": _link(request),
    }
    # One that was opened anew after it was declined can be declined again.
    closed = request.get("closedDate") or ""
    return Item(f"{project}/{name}/{number}/{state}/{closed}", Event(STATES[state], payload))


def _path(project: str, name: str) -> str:
    if not REPOSITORY.match(f"{project}/{name}"):
        raise ValueError(f"{project[:100]!r} and {name[:100]!r} name no repository")
    return f"{API}/projects/{project}/repos/{name}"


def _project(project: str) -> str:
    if not REPOSITORY.match(f"{project}/x"):
        raise ValueError(f"{project[:100]!r} is no project's key")
    return f"{API}/projects/{project}"


def _branch(name: str) -> str:
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def _number(made: Any) -> int:
    number = made.get("id") if isinstance(made, dict) else None
    if not isinstance(number, int):
        raise RestError("the answer names no pull request")
    return number


def _link(value: Any) -> str:
    links = value.get("links") if isinstance(value, dict) else None
    own = links.get("self") if isinstance(links, dict) else None
    first = own[0] if isinstance(own, list) and own else None
    return str(first.get("href") or "") if isinstance(first, dict) else ""


def _author(value: Any) -> dict[str, str]:
    user = value.get("user") if isinstance(value, dict) else None
    told = user if isinstance(user, dict) else {}
    return {
        "name": str(told.get("name") or ""),
        "email": str(told.get("emailAddress") or ""),
        "displayName": str(told.get("displayName") or ""),
    }


def _shown(ref: Any) -> str:
    return str(ref.get("displayId") or ref.get("id") or "") if isinstance(ref, dict) else ""
