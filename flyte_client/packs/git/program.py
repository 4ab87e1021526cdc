"""The Git pack as a program."""

import argparse
import os
import shutil

from flyte_client.errors import SettingsError
from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.state_file import StateFile
from flyte_client.packs.git.events import GitEventSender
from flyte_client.packs.git.settings import read_settings
from flyte_client.packs.git.watcher import EVENT_NAMES, RepositoryWatcher


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.git",
        description="Looks at the repositories in FLYTE_GIT_FILE (or FLYTE_GIT_CONFIG) and sends an event for each "
        "push to a branch and each tag. Keeps copies of them, and what it has told, in FLYTE_GIT_FOLDER.",
    ).parse_args(arguments)
    return run_program("Git", _run_pack)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    if shutil.which("git") is None:
        raise SettingsError("the program git is missing, which this pack needs")
    state = StateFile("FLYTE_GIT_FOLDER", settings.folder / "state.json")
    pack = Pack("Git")
    for event in EVENT_NAMES:
        pack.event(event)
    return run_with_workers(pack, RepositoryWatcher(settings, GitEventSender(pack, state)).run)
