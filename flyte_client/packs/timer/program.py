"""The Timer pack as a program."""

import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.state_file import StateFile
from flyte_client.packs.timer.runner import TimerRunner
from flyte_client.packs.timer.settings import read_settings

DESCRIPTION = (
    "Send events at the times in FLYTE_TIMER_FILE (or FLYTE_TIMER_CONFIG): cron expressions and intervals. Also "
    "configured by FLYTE_API, FLYTE_TIMER_TIMEZONE and FLYTE_TIMER_STATE."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Timer", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    state = StateFile("FLYTE_TIMER_STATE", settings.state_path) if settings.state_path else None
    pack = Pack("Timer")
    for event in dict.fromkeys(timer.event for timer in settings.timers):
        pack.event(event)
    return run_with_workers(pack, TimerRunner(pack, settings.timers, state).run)
