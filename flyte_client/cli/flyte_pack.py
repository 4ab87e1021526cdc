"""The program `flyte-pack`: runs a pack by name, lists packs, and creates new ones."""

import sys
from collections.abc import Mapping
from pathlib import Path

from flyte_client.cli.pack_discovery import PackProgram, discover_packs
from flyte_client.cli.pack_template import create_pack
from flyte_client.errors import SettingsError
from flyte_formats.output import tolerate_output_encoding

USAGE = """usage: flyte-pack NAME [OPTION...]   run a pack; see its --help for options
       flyte-pack list               list the available packs
       flyte-pack new NAME           create a new pack, with a test, in a new folder
"""
EXIT_USAGE = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command in the arguments; return the exit code, 2 for invalid arguments."""
    tolerate_output_encoding()
    name, *pack_arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if name == "list":
        return _list_packs()
    if name == "new":
        return _create_pack(pack_arguments)
    programs = discover_packs()
    if name not in programs:
        return _report_unknown(name, programs)
    return programs[name].load()(pack_arguments)


def _list_packs() -> int:
    programs = discover_packs()
    width = max(map(len, programs), default=0)
    for program in programs.values():
        print(f"{program.name:{width}}  {program.summary}")
    return 0


def _create_pack(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: flyte-pack new NAME", file=sys.stderr)
        return EXIT_USAGE
    try:
        folder = create_pack(arguments[0], Path.cwd())
    except SettingsError as error:
        print(f"flyte-pack: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"created {folder.name}/; see its README.md for the next steps")
    return 0


def _report_unknown(name: str, programs: Mapping[str, PackProgram]) -> int:
    print(f"flyte-pack: pack {name!r} not found; available: {', '.join(programs)}", file=sys.stderr)
    return EXIT_USAGE
