"""The Bitbucket pack as a program."""

import argparse
import os
from functools import partial

from flyte_client.pack import Pack
from flyte_client.packs.basis.news import News
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.basis.rest import Rest
from flyte_client.packs.basis.state import StateFile
from flyte_client.packs.bitbucket.commands import declare_commands
from flyte_client.packs.bitbucket.repositories import STATES, Repositories
from flyte_client.packs.bitbucket.settings import Settings, read_settings


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.bitbucket",
        description="Makes repositories and pull requests, comments on them and merges them for flows, in the "
        "Bitbucket at FLYTE_BITBUCKET_URL, and sends an event for each pull request of the repositories in "
        "FLYTE_BITBUCKET_REPOSITORIES that is opened, merged or declined. README.md beside the pack lists all "
        "variables.",
    ).parse_args(arguments)
    return program("Bitbucket", _start)


def _start() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Bitbucket")
    repositories = Repositories(Rest(settings.access))
    declare_commands(pack, repositories)
    if not settings.repositories:
        return run_beside(pack)
    for event in (*STATES.values(), "BitbucketUnreachable", "BitbucketReachable"):
        pack.event(event)
    return run_beside(pack, _watch(pack, repositories, settings).run)


def _watch(pack: Pack, repositories: Repositories, settings: Settings) -> News:
    state = StateFile("FLYTE_BITBUCKET_FOLDER", settings.folder / "state.json")
    lists = {name: partial(repositories.requests, name) for name in settings.repositories}
    return News(pack, state, lists, settings.every)
