"""`manage.py try_flow`: dry-run a flow with an event."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from flow_files.dry_run_text import format_dry_run, format_error
from flow_files.errors import describe_read_error
from flows.api.dry_run import DRY_RUN_TEXT_FIELDS, handle_dry_run
from flyte_formats.decoding import decode_text
from flyte_formats.output import format_json
from flyte_site.http.input.parsing import DocumentError, parse_yaml
from flyte_site.http.problems import Problem
from flyte_site.scheduler.command import DatabaseCommand

MAX_BYTES = 16 * 1024 * 1024


class Command(DatabaseCommand):
    """Dry runs for scripts; the API has the same at `POST /v1/flows/dry-run`."""

    help = (
        "Dry-run a flow: print what each step would do with an event. Templates read this server's datastore; nothing "
        "is queued or saved. Exit codes: 0 the flow would start and no step has an error, 1 it would not start or a "
        "step has an error, 2 invalid input."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("flow", type=Path, help="file of the flow, YAML or JSON")
        parser.add_argument(
            "--event", required=True, help="file with an event as posted by packs, or id of a stored event"
        )
        parser.add_argument(
            "--result",
            action="append",
            default=[],
            metavar="STEP=FILE",
            help="simulated result event of the step's action; repeatable, once for each step, used in order",
        )
        parser.add_argument("--json", action="store_true", help="print the API's JSON response")

    def handle(self, *args: Any, **options: Any) -> None:
        files = {"flow": str(options["flow"]), "event": options["event"]}
        dry_run_input: dict[str, Any] = {"flow": read_text_file(options["flow"]), "results": {}}
        if Path(options["event"]).is_file() or not options["event"].isalnum():
            dry_run_input["event"] = read_event_file(Path(options["event"]))
        else:
            dry_run_input["eventId"] = options["event"]
        for argument in options["result"]:
            step_id, _, file = argument.rpartition("=")
            if not step_id:
                raise CommandError(f"--result must be STEP=FILE, not {argument!r}", returncode=2)
            if step_id in dry_run_input["results"]:
                raise CommandError(f"--result: step {step_id!r} has more than one result", returncode=2)
            files[f"results.{step_id}"] = file
            dry_run_input["results"][step_id] = read_event_file(Path(file))
        try:
            report = handle_dry_run(dry_run_input)
        except Problem as problem:
            lines = [format_file_error(error, files) for error in problem.errors or []]
            raise CommandError("\n".join(lines) or problem.detail, returncode=2) from None
        self.stdout.write(format_json(report, indent=2) if options["json"] else "\n".join(format_dry_run(report)))
        if not report["starts"] or any(step["outcome"] == "error" for step in report["steps"]):
            raise SystemExit(1)


def format_file_error(error: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """Format an input error with the name of its file."""
    for root, file in files.items():
        if error["path"] == root or error["path"].startswith(f"{root}."):
            path = error["path"][len(root) + 1 :]
            return f"{file}: {format_error({**error, 'path': path or root})}"
    return format_error(error)


def read_text_file(file: Path) -> str:
    """Read a text file. Raises `CommandError`."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise CommandError(f"{file}: too large, at most {MAX_BYTES:,} bytes are allowed", returncode=2)
        return decode_text(data, errors="strict")
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {describe_read_error(error)}", returncode=2) from None


def read_event_file(file: Path) -> Any:
    """Read the event in a YAML or JSON file. Raises `CommandError`."""
    try:
        return parse_yaml(read_text_file(file), DRY_RUN_TEXT_FIELDS["event"])
    except DocumentError as error:
        line_suffix = f":{error.line}" if error.line else ""
        raise CommandError(f"{file}{line_suffix}: {error.message}", returncode=2) from None
