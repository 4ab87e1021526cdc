"""The Jira pack as a program."""

import argparse
import os

from flyte_client.pack import Pack
from flyte_client.packs.basis.program import program, run_beside
from flyte_client.packs.basis.rest import Rest
from flyte_client.packs.jira.commands import declare_commands
from flyte_client.packs.jira.issues import Issues
from flyte_client.packs.jira.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.jira",
        description="Creates, reads, finds, assigns, comments on and moves issues for flows, in the Jira at "
        "FLYTE_JIRA_URL. README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return program("Jira", _start)


def _start() -> int:
    access = read_settings(os.environ)
    pack = Pack("Jira")
    declare_commands(pack, Issues(Rest(access), access.url))
    return run_beside(pack)
