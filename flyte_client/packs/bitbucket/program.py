"""The Bitbucket pack as a program."""

import argparse
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


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.bitbucket",
        description="Makes repositories and pull requests, comments on them and merges them for flows, in the "
        "Bitbucket at FLYTE_BITBUCKET_URL, and sends an event for each pull request of the repositories in "
        "FLYTE_BITBUCKET_REPOSITORIES that is opened, merged or declined. README.md beside the pack lists all "
        "variables.",
    ).parse_args(arguments)
    return run_program("Bitbucket", _run_pack)


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
