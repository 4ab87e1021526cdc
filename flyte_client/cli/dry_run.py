"""`flyte try`: dry run of a flow with an event."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from flow_files.dry_run_text import format_dry_run, format_error
from flow_files.errors import describe_read_error
from flow_files.sync import EXIT_DIFFERENCES, EXIT_OK
from flyte_client.cli.flow_store import RemoteFlowStore
from flyte_client.cli.packs import read_json
from flyte_client.cli.server_api import ServerApi
from flyte_client.cli.tables import print_json
from flyte_client.errors import RefusedError, SettingsError
from flyte_formats.arguments import decode_argument
from flyte_formats.decoding import decode_text


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("flow", metavar="FLOW", help="the flow's file (YAML or JSON), or the name of a flow")
    parser.add_argument(
        "--event", required=True, help="event as JSON, or @FILE, as packs post it; or the id of a stored event"
    )
    parser.add_argument(
        "--result",
        action="append",
        default=[],
        metavar="STEP=EVENT",
        help="simulated result of the step's action: an event as JSON, or @FILE; one for each step, used in order",
    )
    parser.add_argument("--json", action="store_true", help="print the API's response")


def run_dry_run(api: ServerApi, options: Namespace) -> int:
    """Dry-run a flow; return 0 if it would start and no step has an error, else 1. Raises `SettingsError`."""
    store = RemoteFlowStore(api)
    body = {
        **_parse_event(options.event),
        "results": _parse_results(options.result),
        "flow": _read_flow(store, options.flow),
    }
    try:
        response = api.request(
            "POST", store.dry_run_url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
    except RefusedError as error:
        if not error.errors:
            raise
        raise SettingsError("\n".join(map(format_error, error.errors))) from None
    result = response.json()
    if options.json:
        print_json(result)
    else:
        print("\n".join(format_dry_run(result)))
    is_success = result["starts"] and not any(step["outcome"] == "error" for step in result["steps"])
    return EXIT_OK if is_success else EXIT_DIFFERENCES


def _read_flow(store: RemoteFlowStore, name_or_path: str) -> str:
    """Return the text of the file if it exists, else of the server's flow with this name."""
    path = Path(name_or_path)
    if not path.is_file() and not path.suffix:
        return store.text(decode_argument(name_or_path))
    try:
        return decode_text(path.read_bytes(), errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name_or_path}: {describe_read_error(error)}") from None


def _parse_event(text: str) -> dict[str, Any]:
    return {"eventId": text} if text.isalnum() else {"event": read_json(text)}


def _parse_results(arguments: list[str]) -> dict[str, Any]:
    results = {}
    for argument in arguments:
        step_id, separator, text = argument.partition("=")
        if not (step_id and separator):
            raise SettingsError(f"--result: invalid value {argument!r}, expected STEP=EVENT")
        if step_id in results:
            raise SettingsError(f"--result: step {step_id!r} has more than one result")
        results[step_id] = read_json(text)
    return results
