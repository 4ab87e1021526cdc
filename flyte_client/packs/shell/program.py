"""The Shell pack as a program."""

import os

from flyte_client.packs.common.program import run_program
from flyte_client.packs.shell.commands import build_shell_pack
from flyte_client.packs.shell.settings import read_settings
from flyte_client.program import run

DESCRIPTION = (
    "Run shell scripts for flows with the permissions of the user who starts the pack. Configured by FLYTE_API, "
    "FLYTE_SHELL_TIMEOUT (seconds), FLYTE_SHELL_OUTPUT_LIMIT (bytes), FLYTE_SHELL_FOLDER and FLYTE_SHELL_ENV "
    "(names of variables that scripts can read)."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Shell", DESCRIPTION, lambda: run(build_shell_pack(read_settings(os.environ))), arguments)
