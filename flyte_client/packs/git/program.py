"""The Git pack as a program."""

import os
import shutil

from flyte_client.errors import SettingsError
from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.state_file import StateFile
from flyte_client.packs.git.events import GitEventSender
from flyte_client.packs.git.settings import read_settings
from flyte_client.packs.git.watcher import EVENT_NAMES, RepositoryWatcher

DESCRIPTION = (
    "Poll the repositories in FLYTE_GIT_FILE (or FLYTE_GIT_CONFIG), and send an event for each push to a branch "
    "and each tag. Copies of the repositories and the state are stored in FLYTE_GIT_FOLDER. See the pack's "
    "README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Git", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    if shutil.which("git") is None:
        raise SettingsError("git is not installed")
    state = StateFile("FLYTE_GIT_FOLDER", settings.folder / "state.json")
    pack = Pack("Git")
    for event in EVENT_NAMES:
        pack.event(event)
    return run_with_workers(pack, RepositoryWatcher(settings, GitEventSender(pack, state)).run)
