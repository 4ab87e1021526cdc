"""The Jira pack as a program."""

import argparse
import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.rest_client import RestClient
from flyte_client.packs.jira.commands import declare_commands
from flyte_client.packs.jira.issues import JiraIssues
from flyte_client.packs.jira.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.jira",
        description="Creates, reads, finds, assigns, comments on and moves issues for flows, in the Jira at "
        "FLYTE_JIRA_URL. README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return run_program("Jira", _run_pack)


def _run_pack() -> int:
    rest_settings = read_settings(os.environ)
    pack = Pack("Jira")
    declare_commands(pack, JiraIssues(RestClient(rest_settings), rest_settings.url))
    return run_with_workers(pack)
