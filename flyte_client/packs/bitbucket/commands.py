"""The commands: the original pack's `createRepo`, and what is done with pull requests."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.basis.outcomes import given, outcome, text
from flyte_client.packs.bitbucket.repositories import Repositories


def declare_commands(pack: Pack, repositories: Repositories) -> None:
    """Give the pack its commands."""

    @pack.command("createRepo", events=["createRepo", "createRepoFailure"])
    def create_repo(fields: Any) -> Event:
        told = given(fields, "project", "name")
        return _ended("createRepo", "createRepoFailure", told, lambda: repositories.create(*_repository(told)))

    @pack.command("CreatePullRequest", events=["CreatePullRequestDone", "CreatePullRequestFailed"])
    def create_pull_request(fields: Any) -> Event:
        told = given(fields, "project", "name", "title", "from", "to")
        asked = told | given(fields, "description")
        return _done("CreatePullRequest", told, lambda: repositories.open_request(*_repository(told), _asked(asked)))

    @pack.command("CommentPullRequest", events=["CommentPullRequestDone", "CommentPullRequestFailed"])
    def comment_pull_request(fields: Any) -> Event:
        told = given(fields, "project", "name", "id", "comment")
        return _done(
            "CommentPullRequest",
            told,
            lambda: repositories.comment(*_repository(told), _number(told), text(told, "comment")),
        )

    @pack.command("MergePullRequest", events=["MergePullRequestDone", "MergePullRequestFailed"])
    def merge_pull_request(fields: Any) -> Event:
        told = given(fields, "project", "name", "id")
        return _done("MergePullRequest", told, lambda: repositories.merge(*_repository(told), _number(told)))


Do = Callable[[], Mapping[str, Any] | None]


def _done(command: str, told: Mapping[str, Any], do: Do) -> Event:
    return _ended(f"{command}Done", f"{command}Failed", told, do)


def _ended(done: str, failed: str, told: Mapping[str, Any], do: Do) -> Event:
    return outcome(done, failed, "Bitbucket", told, do)


def _repository(told: Mapping[str, Any]) -> tuple[str, str]:
    return text(told, "project"), text(told, "name")


def _asked(fields: Mapping[str, Any]) -> dict[str, str]:
    description = text(fields, "description") if fields["description"] else ""
    return {name: text(fields, name) for name in ("title", "from", "to")} | {"description": description}


def _number(told: Mapping[str, Any]) -> int:
    """A number, or a text of digits, which is what a flow's template makes of one."""
    value = told["id"]
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12 else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError("id must be a pull request's number")
    return number
