"""The Bamboo pack as a program."""

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

DESCRIPTION = (
    "Start, label and comment on builds for flows in the Bamboo at FLYTE_BAMBOO_URL, and send an event for each "
    "finished build of the plans in FLYTE_BAMBOO_PLANS. See the pack's README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Bamboo", DESCRIPTION, _run_pack, arguments)


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
