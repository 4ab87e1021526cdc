"""The Bitbucket pack as a program."""

import os
from functools import partial

from flyte_client.pack import Pack
from flyte_client.packs.bitbucket.commands import declare_commands
from flyte_client.packs.bitbucket.repositories import EVENT_BY_STATE, BitbucketRepositories
from flyte_client.packs.bitbucket.settings import BitbucketSettings, read_settings
from flyte_client.packs.common.list_watcher import ListWatcher
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.rest_client import RestClient
from flyte_client.packs.common.state_file import StateFile

DESCRIPTION = (
    "Create repositories, and create, comment on and merge pull requests for flows in the Bitbucket at "
    "FLYTE_BITBUCKET_URL, and send an event for each opened, merged or declined pull request of the repositories "
    "in FLYTE_BITBUCKET_REPOSITORIES. See the pack's README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Bitbucket", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Bitbucket")
    repositories = BitbucketRepositories(RestClient(settings.rest))
    declare_commands(pack, repositories)
    if not settings.repositories:
        return run_with_workers(pack)
    for event in (*EVENT_BY_STATE.values(), "BitbucketUnreachable", "BitbucketReachable"):
        pack.event(event)
    return run_with_workers(pack, _build_watcher(pack, repositories, settings).run)


def _build_watcher(pack: Pack, repositories: BitbucketRepositories, settings: BitbucketSettings) -> ListWatcher:
    state = StateFile("FLYTE_BITBUCKET_FOLDER", settings.folder / "state.json")
    fetch_by_name = {name: partial(repositories.list_pull_requests, name) for name in settings.repositories}
    return ListWatcher(pack, state, fetch_by_name, settings.poll_seconds)
