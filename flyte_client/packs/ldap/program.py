"""The Ldap pack as a program."""

import argparse
import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.ldap.commands import declare_commands
from flyte_client.packs.ldap.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="python -m flyte_client.packs.ldap",
        description="Looks people and groups up for flows, in the directory at FLYTE_LDAP_URL, under "
        "FLYTE_LDAP_BASE_DN. README.md beside the pack lists all variables.",
    ).parse_args(arguments)
    return run_program("Ldap", _run_pack)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Ldap")
    declare_commands(pack, settings)
    return run_with_workers(pack)
