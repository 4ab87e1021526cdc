"""The Shell pack as a program."""

import argparse
import os

from flyte_client.packs.basis.program import program
from flyte_client.packs.shell.command import shell_pack
from flyte_client.packs.shell.settings import read_settings
from flyte_client.program import run


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.shell",
        description="Runs shell commands for flows, with the rights of whoever starts it. Set up by FLYTE_API, "
        "FLYTE_SHELL_TIMEOUT (seconds), FLYTE_SHELL_OUTPUT_LIMIT (bytes), FLYTE_SHELL_FOLDER and FLYTE_SHELL_ENV "
        "(names of the variables that scripts see).",
    ).parse_args(arguments)
    return program("Shell", lambda: run(shell_pack(read_settings(os.environ))))
