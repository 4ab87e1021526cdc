"""The Shell pack as a program."""

import argparse
import os

from flyte_client.packs.common.program import run_program
from flyte_client.packs.shell.commands import build_shell_pack
from flyte_client.packs.shell.settings import read_settings
from flyte_client.program import run


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.shell",
        description="Runs shell commands for flows, with the rights of whoever starts it. Set up by FLYTE_API, "
        "FLYTE_SHELL_TIMEOUT (seconds), FLYTE_SHELL_OUTPUT_LIMIT (bytes), FLYTE_SHELL_FOLDER and FLYTE_SHELL_ENV "
        "(names of the variables that scripts see).",
    ).parse_args(arguments)
    return run_program("Shell", lambda: run(build_shell_pack(read_settings(os.environ))))
