"""The Bamboo pack as a program."""

import argparse
import os
from functools import partial

from flyte_client.pack import Pack
from flyte_client.packs.bamboo.builds import ENDS, Builds
from flyte_client.packs.bamboo.commands import declare_commands
from flyte_client.packs.bamboo.settings import Settings, read_settings
from flyte_client.packs.basis.news import News
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.basis.rest import Rest
from flyte_client.packs.basis.state import StateFile


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.bamboo",
        description="Starts, labels and comments on builds for flows, in the Bamboo at FLYTE_BAMBOO_URL, and sends an "
        "event for each build of the plans in FLYTE_BAMBOO_PLANS that ends. README.md beside the pack lists all "
        "variables.",
    ).parse_args(arguments)
    return program("Bamboo", _start)


def _start() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Bamboo")
    builds = Builds(Rest(settings.access), settings.access.url)
    declare_commands(pack, builds)
    if not settings.plans:
        return run_beside(pack)
    for event in (*ENDS.values(), "BambooUnreachable", "BambooReachable"):
        pack.event(event)
    return run_beside(pack, _watch(pack, builds, settings).run)


def _watch(pack: Pack, builds: Builds, settings: Settings) -> News:
    state = StateFile("FLYTE_BAMBOO_FOLDER", settings.folder / "state.json")
    return News(pack, state, {plan: partial(builds.ended, plan) for plan in settings.plans}, settings.every)
