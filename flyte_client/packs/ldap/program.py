"""The Ldap pack as a program."""

import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.ldap.commands import declare_commands
from flyte_client.packs.ldap.settings import read_settings

DESCRIPTION = (
    "Look up people and groups for flows in the directory at FLYTE_LDAP_URL, under FLYTE_LDAP_BASE_DN. See the "
    "pack's README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Ldap", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    pack = Pack("Ldap")
    declare_commands(pack, settings)
    return run_with_workers(pack)
