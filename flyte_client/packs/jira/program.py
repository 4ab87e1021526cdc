"""The Jira pack as a program."""

import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.common.rest_client import RestClient
from flyte_client.packs.jira.commands import declare_commands
from flyte_client.packs.jira.issues import JiraIssues
from flyte_client.packs.jira.settings import read_settings

DESCRIPTION = (
    "Create, read, search, assign, comment on and move issues for flows in the Jira at FLYTE_JIRA_URL. See the "
    "pack's README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Jira", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    rest_settings = read_settings(os.environ)
    pack = Pack("Jira")
    declare_commands(pack, JiraIssues(RestClient(rest_settings), rest_settings.url))
    return run_with_workers(pack)
