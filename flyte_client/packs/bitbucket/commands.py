"""The pack's commands: the original pack's `createRepo`, and commands for pull requests."""

from collections.abc import Callable, Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.bitbucket.repositories import BitbucketRepositories
from flyte_client.packs.common.results import pick_fields, require_int, require_line, require_text, run_command

MAX_PULL_REQUEST_ID = 10**11 - 1


def declare_commands(pack: Pack, repositories: BitbucketRepositories) -> None:
    """Declare the pack's commands."""

    @pack.command("createRepo", events=["createRepo", "createRepoFailure"])
    def create_repo(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "project", "name")
        return _run_command(
            "createRepo",
            "createRepoFailure",
            echoed,
            lambda: repositories.create_repository(*_require_repository(echoed)),
        )

    @pack.command("CreatePullRequest", events=["CreatePullRequestDone", "CreatePullRequestFailed"])
    def create_pull_request(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "project", "name", "title", "from", "to")
        fields_with_description = echoed | pick_fields(command_input, "description")
        return _run_pull_request_command(
            "CreatePullRequest",
            echoed,
            lambda: repositories.create_pull_request(
                *_require_repository(echoed), _pull_request_fields(fields_with_description)
            ),
        )

    @pack.command("CommentPullRequest", events=["CommentPullRequestDone", "CommentPullRequestFailed"])
    def comment_pull_request(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "project", "name", "id", "comment")
        return _run_pull_request_command(
            "CommentPullRequest",
            echoed,
            lambda: repositories.comment_pull_request(
                *_require_repository(echoed), _require_number(echoed), require_text(echoed, "comment")
            ),
        )

    @pack.command("MergePullRequest", events=["MergePullRequestDone", "MergePullRequestFailed"])
    def merge_pull_request(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "project", "name", "id")
        return _run_pull_request_command(
            "MergePullRequest",
            echoed,
            lambda: repositories.merge_pull_request(*_require_repository(echoed), _require_number(echoed)),
        )


CommandCall = Callable[[], Mapping[str, Any] | None]


def _run_pull_request_command(command: str, echoed: Mapping[str, Any], call: CommandCall) -> Event:
    return _run_command(f"{command}Done", f"{command}Failed", echoed, call)


def _run_command(success_event: str, failure_event: str, echoed: Mapping[str, Any], call: CommandCall) -> Event:
    return run_command(success_event, failure_event, echoed, call, "Bitbucket")


def _require_repository(echoed: Mapping[str, Any]) -> tuple[str, str]:
    return require_line(echoed, "project"), require_line(echoed, "name")


def _pull_request_fields(fields: Mapping[str, Any]) -> dict[str, str]:
    description = require_text(fields, "description") if fields["description"] else ""
    return {name: require_line(fields, name) for name in ("title", "from", "to")} | {"description": description}


def _require_number(echoed: Mapping[str, Any]) -> int:
    return require_int(echoed, "id", 1, MAX_PULL_REQUEST_ID)
