"""The Git pack as a program."""

import argparse
import os
import shutil

from flyte_client.errors import SettingsError
from flyte_client.pack import Pack
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.basis.state import StateFile
from flyte_client.packs.git.looking import EVENTS, Lookout
from flyte_client.packs.git.settings import read_settings
from flyte_client.packs.git.telling import Teller


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.git",
        description="Looks at the repositories in FLYTE_GIT_FILE (or FLYTE_GIT_CONFIG) and sends an event for each "
        "push to a branch and each tag. Keeps copies of them, and what it has told, in FLYTE_GIT_FOLDER.",
    ).parse_args(arguments)
    return program("Git", _start)


def _start() -> int:
    settings = read_settings(os.environ)
    if shutil.which("git") is None:
        raise SettingsError("the program git is missing, which this pack needs")
    state = StateFile("FLYTE_GIT_FOLDER", settings.folder / "state.json")
    pack = Pack("Git")
    for event in EVENTS:
        pack.event(event)
    return run_beside(pack, Lookout(settings, Teller(pack, state)).run)
