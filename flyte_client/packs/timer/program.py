"""The Timer pack as a program."""

import argparse
import os

from flyte_client.pack import Pack
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.basis.state import StateFile
from flyte_client.packs.timer.settings import read_settings
from flyte_client.packs.timer.ticking import Ticking


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.timer",
        description="Sends events at the times in FLYTE_TIMER_FILE (or FLYTE_TIMER_CONFIG): cron expressions and "
        "intervals. Set up by FLYTE_API, FLYTE_TIMER_TIMEZONE and FLYTE_TIMER_STATE, too.",
    ).parse_args(arguments)
    return program("Timer", _start)


def _start() -> int:
    settings = read_settings(os.environ)
    state = StateFile("FLYTE_TIMER_STATE", settings.state) if settings.state else None
    pack = Pack("Timer")
    for event in dict.fromkeys(timer.event for timer in settings.timers):
        pack.event(event)
    return run_beside(pack, Ticking(pack, settings.timers, state).run)
