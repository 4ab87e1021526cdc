"""Client for Bitbucket's repositories and pull requests over its REST API, version 1.0."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.bitbucket.settings import REPOSITORY_PATTERN
from flyte_client.packs.common.list_watcher import WatchedItem
from flyte_client.packs.common.rest_client import RestClient, RestError

API_PATH = "/rest/api/1.0"
MAX_PULL_REQUESTS = 100
EVENT_BY_STATE = {"OPEN": "PullRequestOpened", "MERGED": "PullRequestMerged", "DECLINED": "PullRequestDeclined"}
MAX_TEXT_LENGTH = 10_000


@dataclass(frozen=True)
class BitbucketRepositories:
    """Bitbucket operations; `project` is a key, `name` a repository's slug.

    All raise `RestError`, or `ValueError` for an invalid argument.
    """

    rest: RestClient

    def create_repository(self, project: str, name: str) -> dict[str, str]:
        response = self.rest.post(f"{_project_path(project)}/repos", {"name": name, "scmId": "git"})
        return {"url": _find_self_link(response)}

    def create_pull_request(self, project: str, name: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Create a pull request from the branch `from` to the branch `to`; return its id and address."""
        repository = {"slug": name, "project": {"key": project}}
        body = {
            "title": fields["title"],
            "description": fields["description"],
            "fromRef": {"id": _branch_ref(fields["from"]), "repository": repository},
            "toRef": {"id": _branch_ref(fields["to"]), "repository": repository},
        }
        response = self.rest.post(f"{_repository_path(project, name)}/pull-requests", body)
        return {"id": _parse_pull_request_id(response), "url": _find_self_link(response)}

    def comment_pull_request(self, project: str, name: str, request_id: int, text: str) -> None:
        self.rest.post(f"{_repository_path(project, name)}/pull-requests/{request_id}/comments", {"text": text})

    def merge_pull_request(self, project: str, name: str, request_id: int) -> dict[str, Any]:
        """Merge the current version of a pull request; Bitbucket refuses if it was changed in the meantime."""
        path = f"{_repository_path(project, name)}/pull-requests/{request_id}"
        pull_request = self.rest.get(path)
        version = pull_request.get("version") if isinstance(pull_request, dict) else None
        if not isinstance(version, int):
            raise RestError("unexpected response: no version of the pull request")
        merged = self.rest.post(f"{path}/merge", version=version)
        return {
            "state": str(merged.get("state") or "") if isinstance(merged, dict) else "",
            "url": _find_self_link(merged),
        }

    def list_pull_requests(self, repository: str, stop_event: threading.Event) -> Sequence[WatchedItem]:
        """Return the repository's last pull requests, oldest first."""
        project, _, name = repository.partition("/")
        query: dict[str, str | int] = {"state": "ALL", "order": "NEWEST", "limit": MAX_PULL_REQUESTS}
        response = self.rest.get(f"{_repository_path(project, name)}/pull-requests", stop_event, **query)
        entries = response.get("values") if isinstance(response, dict) else None
        if not isinstance(entries, list):
            raise RestError("unexpected response: no list of pull requests")
        items = [_to_item(project, name, entry) for entry in entries if isinstance(entry, dict)]
        return [item for item in reversed(items) if item]


def _to_item(project: str, name: str, pull_request: Mapping[str, Any]) -> WatchedItem | None:
    state, number = str(pull_request.get("state")), pull_request.get("id")
    if state not in EVENT_BY_STATE or not isinstance(number, int):
        return None
    payload = {
        "project": project,
        "name": name,
        "id": number,
        "title": str(pull_request.get("title") or ""),
        "description": str(pull_request.get("description") or "")[:MAX_TEXT_LENGTH],
        "author": _parse_author(pull_request.get("author")),
        "from": _ref_display_name(pull_request.get("fromRef")),
        "to": _ref_display_name(pull_request.get("toRef")),
        "url": _find_self_link(pull_request),
    }
    # A declined pull request can be reopened and declined again.
    closed = pull_request.get("closedDate") or ""
    return WatchedItem(f"{project}/{name}/{number}/{state}/{closed}", Event(EVENT_BY_STATE[state], payload))


def _repository_path(project: str, name: str) -> str:
    if not REPOSITORY_PATTERN.match(f"{project}/{name}"):
        raise ValueError(f"invalid repository: project {project[:100]!r}, name {name[:100]!r}")
    return f"{API_PATH}/projects/{project}/repos/{name}"


def _project_path(project: str) -> str:
    if not REPOSITORY_PATTERN.match(f"{project}/x"):
        raise ValueError(f"invalid project key {project[:100]!r}")
    return f"{API_PATH}/projects/{project}"


def _branch_ref(name: str) -> str:
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def _parse_pull_request_id(response: Any) -> int:
    number = response.get("id") if isinstance(response, dict) else None
    if not isinstance(number, int):
        raise RestError("unexpected response: no id of the pull request")
    return number


def _find_self_link(value: Any) -> str:
    links = value.get("links") if isinstance(value, dict) else None
    self_links = links.get("self") if isinstance(links, dict) else None
    first = self_links[0] if isinstance(self_links, list) and self_links else None
    return str(first.get("href") or "") if isinstance(first, dict) else ""


def _parse_author(value: Any) -> dict[str, str]:
    user = value.get("user") if isinstance(value, dict) else None
    user_fields = user if isinstance(user, dict) else {}
    return {
        "name": str(user_fields.get("name") or ""),
        "email": str(user_fields.get("emailAddress") or ""),
        "displayName": str(user_fields.get("displayName") or ""),
    }


def _ref_display_name(ref: Any) -> str:
    return str(ref.get("displayId") or ref.get("id") or "") if isinstance(ref, dict) else ""
