"""The program `flyte-pack`: runs a pack by its name, tells which there are, and writes new ones."""

import sys
from collections.abc import Mapping
from pathlib import Path

from flyte_client.catalogue import Entry, catalogue
from flyte_client.errors import SettingsError
from flyte_client.new import new_pack

USAGE = """usage: flyte-pack NAME [OPTION...]   run a pack; its --help says what it takes
       flyte-pack list               the packs that there are
       flyte-pack new NAME           write a new pack, with a test, in a folder of its own
"""
MISUSED = 2


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say; return the exit code, 2 for arguments that mean nothing."""
    first, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if first in ("-h", "--help"):
        print(USAGE, end="")
        return 0
    if first == "list":
        return _list()
    if first == "new":
        return _new(rest)
    entries = catalogue()
    if first not in entries:
        return _unknown(first, entries)
    return entries[first].load()(rest)


def _list() -> int:
    entries = catalogue()
    width = max(map(len, entries), default=0)
    for entry in entries.values():
        print(f"{entry.name:{width}}  {entry.summary}")
    return 0


def _new(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: flyte-pack new NAME", file=sys.stderr)
        return MISUSED
    try:
        folder = new_pack(arguments[0], Path.cwd())
    except SettingsError as error:
        print(f"flyte-pack: {error}", file=sys.stderr)
        return MISUSED
    print(f"{folder.name}/ is written; its README.md says how to go on")
    return 0


def _unknown(name: str, entries: Mapping[str, Entry]) -> int:
    print(f"flyte-pack: there is no pack {name!r}, only {', '.join(entries)}", file=sys.stderr)
    return MISUSED
