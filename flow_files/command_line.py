"""`flows validate|diff|apply|export`, the same for `flyte` and for `manage.py`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from flow_files import sync
from flow_files.sync import EXIT_DIFFERENCES, EXIT_INVALID, EXIT_OK, FlowStore, SyncPlan
from flyte_formats.arguments import decode_argument
from flyte_formats.output import format_json

Atomic = Callable[[], AbstractContextManager[object]] | None
"""Context manager that applies all changes made in its block or none; None if the store applies them one by one."""

PRUNE_HELP = {
    "diff": "also show the flows that are in no file, which --prune of apply would delete",
    "apply": "delete flows that are in no file",
}
EXIT_CODES_HELP = (
    "Exit codes: 0 done, or no differences; 1 differences (diff), or warnings (--strict); 2 invalid files or "
    "arguments, nothing was changed; 3 server unreachable, request refused, a flow was changed in the meantime, or a "
    "file could not be written."
)


def add_subcommands(parser: ArgumentParser) -> None:
    """Add the subcommands to a parser; `run_command` runs them."""
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    for name, help_text in (
        ("validate", "check the flows in files, and change nothing"),
        ("diff", "show what apply would change"),
        ("apply", "check all files, then save the flows that differ"),
    ):
        command = commands.add_parser(name, help=help_text, description=f"{help_text.capitalize()}. {EXIT_CODES_HELP}")
        command.add_argument(
            "path", metavar="DIR", type=Path, help="folder with .yaml, .yml or .json files, or a single file"
        )
        command.add_argument("--strict", action="store_true", help="stop on warnings, with exit code 1")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        if name != "validate":
            command.add_argument("--prune", action="store_true", help=PRUNE_HELP[name])
        if name == "apply":
            command.add_argument("--dry-run", action="store_true", help="only print what would change")
            command.add_argument(
                "--note", type=decode_argument, default="", help="reason for the change; stored with each new version"
            )
    command = commands.add_parser(
        "export",
        help="write the server's flows to files",
        description="Write each flow to a file named after it: its text as it was saved, or generated YAML if the text "
        "no longer matches the flow. "
        f"Other files are not changed. {EXIT_CODES_HELP}",
    )
    command.add_argument(
        "path", metavar="DIR", type=Path, help="output directory (created if missing); not a Python package"
    )
    command.add_argument("names", metavar="FLOW", nargs="*", type=decode_argument, help="only these flows")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def run_command(store: FlowStore, options: Namespace, atomic: Atomic) -> int:
    """Run the chosen subcommand; return the exit code. Raises `FlowFilesError`, and what the store raises."""
    if options.subcommand == "export":
        return _export_flows(store, options)
    plan = sync.build_plan(store, options.path, with_store_only=options.subcommand != "validate")
    for line in sync.format_findings(plan):
        print(line, file=sys.stderr)
    if plan.has_errors or (options.strict and plan.has_findings):
        return _report_findings(plan, options)
    if options.subcommand == "apply":
        return _apply_plan(store, plan, options, atomic)
    return _report_valid(plan, options) if options.subcommand == "validate" else _print_diff(plan, options)


def _report_findings(plan: SyncPlan, options: Namespace) -> int:
    if options.json:
        _print_plan_json(plan, applied=False)
    reason = "errors" if plan.has_errors else "warnings, which --strict does not allow"
    suffix = "" if options.subcommand == "validate" else "; nothing was changed"
    print(f"the files have {reason}{suffix}", file=sys.stderr)
    return EXIT_INVALID if plan.has_errors else EXIT_DIFFERENCES


def _report_valid(plan: SyncPlan, options: Namespace) -> int:
    if options.json:
        _print_plan_json(plan, applied=False)
    else:
        print(f"{len(plan.entries)} {'flow is' if len(plan.entries) == 1 else 'flows are'} valid")
    return EXIT_OK


def _print_diff(plan: SyncPlan, options: Namespace) -> int:
    if options.json:
        _print_plan_json(plan, applied=False)
    else:
        for entry in plan.changes:
            print(entry.check.diff, end="")
        for name in plan.store_only:
            print(f"{'to delete' if options.prune else 'in no file'}: {name}")
        print(sync.format_summary(plan, prune=options.prune), file=sys.stderr)
    return EXIT_DIFFERENCES if plan.changes or (options.prune and plan.store_only) else EXIT_OK


def _apply_plan(store: FlowStore, plan: SyncPlan, options: Namespace, atomic: Atomic) -> int:
    if not options.dry_run:
        _make_changes(store, plan, options, atomic)
    elif not options.json:
        for entry in plan.changes:
            print(f"{entry.check.change}  {entry.check.name}")
        for name in plan.store_only if options.prune else ():
            print(f"to delete  {name}")
    if options.json:
        _print_plan_json(plan, applied=not options.dry_run)
    else:
        summary = sync.format_summary(plan, prune=options.prune)
        print(f"{summary}; nothing was changed" if options.dry_run else summary)
    return EXIT_OK


def _make_changes(store: FlowStore, plan: SyncPlan, options: Namespace, atomic: Atomic) -> None:
    """Make the changes; print each when it is certain. If one fails, say what was changed before."""
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        if atomic is None and not options.json:
            print(line, flush=True)

    try:
        with atomic() if atomic else nullcontext():
            sync.apply_plan(store, plan, prune=options.prune, note=options.note, report=report)
    except Exception:
        if atomic is None:
            total = len(plan.changes) + (len(plan.store_only) if options.prune else 0)
            print(f"stopped after {len(lines)} of {total} changes", file=sys.stderr)
        raise
    if atomic and not options.json:
        print("\n".join(lines), end="\n" if lines else "")


def _export_flows(store: FlowStore, options: Namespace) -> int:
    exported = []
    for name, path, changed in sync.export_flows(store, options.path, options.names):
        exported.append({"name": name, "file": str(path), "changed": changed})
        if changed and not options.json:
            print(f"written  {path}")
    if options.json:
        print(format_json({"flows": exported}))
    else:
        changes = sum(1 for entry in exported if entry["changed"])
        print(f"{len(exported)} {'flow' if len(exported) == 1 else 'flows'}, {changes} written")
    return EXIT_OK


def _print_plan_json(plan: SyncPlan, *, applied: bool) -> None:
    print(format_json({**plan.to_json(), "applied": applied}))
