"""`flyte try`: what a flow would do with an event, without doing it."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from flyte_client.cli.packs import read_json
from flyte_client.cli.remote import Remote
from flyte_client.cli.shelf import RemoteShelf
from flyte_client.cli.tables import print_json
from flyte_client.errors import RefusedError, SettingsError
from flyte_client.flow_sync import DIFFERS, DONE
from flyte_client.tried import lines, told


def add(parser: ArgumentParser) -> None:
    parser.add_argument("flow", metavar="FLOW", help="the flow's file, YAML or JSON; or the name of a flow")
    parser.add_argument(
        "--event", required=True, help="JSON, or @FILE: an event as packs post it; or a kept event's id"
    )
    parser.add_argument(
        "--result",
        action="append",
        default=[],
        metavar="STEP=EVENT",
        help="JSON, or @FILE: the event that the step's action is to end with; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print what the API answers")


def run(remote: Remote, asked: Namespace) -> int:
    """Try a flow: 0 it would start and every step can be judged, 1 it would not, 2 something given is at fault."""
    shelf = RemoteShelf(remote)
    body = {**_event(asked.event), "results": _results(asked.result), "flow": _flow(shelf, asked.flow)}
    try:
        answer = remote.call("POST", shelf.trials, json.dumps(body).encode(), {"Content-Type": "application/json"})
    except RefusedError as error:
        if not error.errors:
            raise
        raise SettingsError("\n".join(map(told, error.errors))) from None
    done = answer.json()
    if asked.json:
        print_json(done)
    else:
        print("\n".join(lines(done)))
    good = done["starts"] and not any(step["outcome"] == "error" for step in done["steps"])
    return DONE if good else DIFFERS


def _flow(shelf: RemoteShelf, given: str) -> str:
    """The text of the flow: of the file, where there is one of this name, else of the server's flow."""
    path = Path(given)
    if not path.is_file() and not path.suffix:
        return shelf.text(given)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{given}: {getattr(error, 'strerror', None) or 'is not text in UTF-8'}") from None


def _event(given: str) -> dict[str, Any]:
    return {"eventId": given} if given.isalnum() else {"event": read_json(given)}


def _results(given: list[str]) -> dict[str, Any]:
    results = {}
    for one in given:
        step_id, found, text = one.partition("=")
        if not (step_id and found):
            raise SettingsError(f"--result: must be STEP=EVENT, not {one!r}")
        results[step_id] = read_json(text)
    return results
