"""`flows validate|diff|apply|export`, the same for `flyte` and for `manage.py`."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from flyte_client import flow_sync
from flyte_client.flow_sync import AT_FAULT, DIFFERS, DONE, Plan, Shelf

Undivided = Callable[[], AbstractContextManager[object]]
"""Makes what is done in its block happen as a whole or not at all, as far as the shelf can do that."""

CODES = (
    "Exit codes: 0 done, or no differences; 1 there are differences (diff), or warnings (--strict); 2 the files or the "
    "arguments are at fault, nothing was changed; 3 the server was away, refused, or a flow was changed meanwhile."
)


def add_commands(parser: ArgumentParser) -> None:
    """Add the commands to a parser; `run` does what they say."""
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
    for name, help_text in (
        ("validate", "check the flows in files, and change nothing"),
        ("diff", "show what apply would change"),
        ("apply", "save the flows that differ, once all files were checked"),
    ):
        command = commands.add_parser(name, help=help_text, description=f"{help_text.capitalize()}. {CODES}")
        command.add_argument("place", metavar="DIR", type=Path, help="a folder with .yaml, .yml, .json; or one file")
        command.add_argument("--strict", action="store_true", help="treat warnings as a reason to stop, with code 1")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        if name != "validate":
            command.add_argument("--prune", action="store_true", help="delete flows that no file has")
        if name == "apply":
            command.add_argument("--dry-run", action="store_true", help="only say what would be done")
            command.add_argument("--note", default="", help="what the change is for; stands with each new version")
    command = commands.add_parser(
        "export",
        help="write the server's flows into files",
        description=f"Write the server's flows into files of their names, as they were written where that says all. "
        f"Other files are left alone. {CODES}",
    )
    command.add_argument(
        "place", metavar="DIR", type=Path, help="output directory (created if missing); not a Python package"
    )
    command.add_argument("names", metavar="FLOW", nargs="*", help="only these flows")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def run(shelf: Shelf, asked: Namespace, undivided: Undivided) -> int:
    """Do what the arguments say; the exit code. Raises `FilesError`, and what the shelf raises."""
    if asked.what == "export":
        return _export(shelf, asked)
    made = flow_sync.plan(shelf, asked.place, with_others=asked.what != "validate")
    for line in flow_sync.findings_told(made):
        print(line, file=sys.stderr)
    if made.bad or (asked.strict and made.warned):
        return _stopped(made, asked)
    if asked.what == "apply":
        return _apply(shelf, made, asked, undivided)
    return _validated(made, asked) if asked.what == "validate" else _differences(made, asked)


def _stopped(made: Plan, asked: Namespace) -> int:
    if asked.json:
        _print_json(made, applied=False)
    why = "errors" if made.bad else "warnings, and --strict asks for none"
    told = "" if asked.what == "validate" else "; nothing was changed"
    print(f"there are {why}{told}", file=sys.stderr)
    return AT_FAULT if made.bad else DIFFERS


def _validated(made: Plan, asked: Namespace) -> int:
    if asked.json:
        _print_json(made, applied=False)
    else:
        print(f"{len(made.entries)} {'flow is' if len(made.entries) == 1 else 'flows are'} valid")
    return DONE


def _differences(made: Plan, asked: Namespace) -> int:
    if asked.json:
        _print_json(made, applied=False)
    else:
        for entry in made.changes:
            print(entry.checked.diff, end="")
        for name in made.others:
            print(f"{'to delete' if asked.prune else 'in no file'}: {name}")
        print(flow_sync.summary(made, prune=asked.prune), file=sys.stderr)
    return DIFFERS if made.changes or (asked.prune and made.others) else DONE


def _apply(shelf: Shelf, made: Plan, asked: Namespace, undivided: Undivided) -> int:
    if not asked.dry_run:
        with undivided():
            flow_sync.apply(shelf, made, prune=asked.prune, note=asked.note, tell=_quiet if asked.json else print)
    elif not asked.json:
        for entry in made.changes:
            print(f"{entry.checked.change}  {entry.checked.name}")
        for name in made.others if asked.prune else ():
            print(f"to delete  {name}")
    if asked.json:
        _print_json(made, applied=not asked.dry_run)
    else:
        told = flow_sync.summary(made, prune=asked.prune)
        print(f"{told}; nothing was changed" if asked.dry_run else told)
    return DONE


def _export(shelf: Shelf, asked: Namespace) -> int:
    found = []
    for name, path, changed in flow_sync.export(shelf, asked.place, asked.names):
        found.append({"name": name, "file": str(path), "changed": changed})
        if changed and not asked.json:
            print(f"written  {path}")
    if asked.json:
        print(json.dumps({"flows": found}, ensure_ascii=False))
    else:
        changes = sum(1 for one in found if one["changed"])
        print(f"{len(found)} {'flow' if len(found) == 1 else 'flows'}, {changes} written")
    return DONE


def _print_json(made: Plan, *, applied: bool) -> None:
    print(json.dumps({**made.shown(), "applied": applied}, ensure_ascii=False))


def _quiet(_line: str) -> None:
    """`--json` prints one object, and nothing else."""
