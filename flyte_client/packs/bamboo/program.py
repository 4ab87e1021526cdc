"""The Bamboo pack as a program."""

import argparse
import os
from functools import partial

from flyte_client.pack import Pack
from flyte_client.packs.bamboo.builds import EVENT_BY_STATE, BambooBuilds
from flyte_client.packs.bamboo.commands import declare_commands
from flyte_client.packs.bamboo.settings import BambooSettings, read_settings
from flyte_client.packs.common.list_watcher import ListWatcher
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.rest_client import RestClient
from flyte_client.packs.common.state_file import StateFile


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.bamboo",
        description="Starts, labels and comments on builds for flows, in the Bamboo at FLYTE_BAMBOO_URL, and sends an "
        "event for each build of the plans in FLYTE_BAMBOO_PLANS that ends. README.md beside the pack lists all "
        "variables.",
    ).parse_args(arguments)
    return run_program("Bamboo", _run_pack)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Bamboo")
    builds = BambooBuilds(RestClient(settings.rest), settings.rest.url)
    declare_commands(pack, builds)
    if not settings.plans:
        return run_with_workers(pack)
    for event in (*EVENT_BY_STATE.values(), "BambooUnreachable", "BambooReachable"):
        pack.event(event)
    return run_with_workers(pack, _build_watcher(pack, builds, settings).run)


def _build_watcher(pack: Pack, builds: BambooBuilds, settings: BambooSettings) -> ListWatcher:
    state = StateFile("FLYTE_BAMBOO_FOLDER", settings.folder / "state.json")
    return ListWatcher(
        pack, state, {plan: partial(builds.list_finished, plan) for plan in settings.plans}, settings.poll_seconds
    )
