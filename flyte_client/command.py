"""The program `flyte-pack`: runs a pack by its name, and tells which there are."""

import sys
from collections.abc import Mapping

from flyte_client.catalogue import Entry, catalogue

USAGE = """usage: flyte-pack NAME [OPTION...]   run a pack; its --help says what it takes
       flyte-pack list               the packs that there are
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


def _unknown(name: str, entries: Mapping[str, Entry]) -> int:
    print(f"flyte-pack: there is no pack {name!r}, only {', '.join(entries)}", file=sys.stderr)
    return MISUSED
