"""`flyte packs` and `flyte events`: who there is, and telling the server something in a pack's name."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_client.cli.server_api import ServerApi
from flyte_client.cli.tables import print_json, print_table
from flyte_client.errors import FlyteError, SettingsError


def add_pack_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("pack", nargs="?", metavar="PACK", help="the id of one: what it can do and tells")
    parser.add_argument("--json", action="store_true", help="print what the API answers")


def show_packs(api: ServerApi, options: Namespace) -> int:
    """List the packs that registered, or show one."""
    if options.pack:
        return _print_pack(_find_pack(api, options.pack), options)
    rows = list(api.iter_items(api.find_url("listPacks"), "packs"))
    if options.json:
        print_json(rows)
    else:
        print_table(("PACK", "STATUS", "LAST SEEN"), ((row["id"], row["status"], row["lastSeen"]) for row in rows))
    return 0


def _print_pack(pack: Mapping[str, Any], options: Namespace) -> int:
    if options.json:
        print_json(pack)
        return 0
    commands = [
        ("command", declared["name"], ", ".join(declared.get("events") or [])) for declared in pack.get("commands", [])
    ]
    events = [("event", declared["name"], "") for declared in pack.get("events", [])]
    print_table(("KIND", "NAME", "GIVES"), [*commands, *events])
    return 0


def _find_pack(api: ServerApi, id_or_name: str) -> Mapping[str, Any]:
    """A pack with all its links, by its id, or by its name where one pack alone has that."""
    url = api.find_url("listPacks")
    rows = list(api.iter_items(url, "packs"))
    matches = [row for row in rows if row["id"] == id_or_name] or [row for row in rows if row["name"] == id_or_name]
    if not matches:
        raise FlyteError(f"no pack {id_or_name!r} is registered; `flyte packs` lists them")
    if len(matches) > 1:
        raise FlyteError(f"several packs are called {id_or_name!r}: {', '.join(row['id'] for row in matches[:20])}")
    return api.get_json(api.require_link(matches[0], "self", url))


def add_event_arguments(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    send = commands.add_parser("send", help="post an event as a pack that is registered")
    send.add_argument("pack", metavar="PACK", help="its id, or its name")
    send.add_argument("event", metavar="EVENT", help="the event's name")
    send.add_argument("payload", metavar="PAYLOAD", nargs="?", help="JSON; or @FILE; or - for standard input")
    send.add_argument("--key", help="a name of the event's own: sent again with the same key, it counts once")


def send_event(api: ServerApi, options: Namespace) -> int:
    """Post an event."""
    event = {"event": options.event} | ({"payload": read_json(options.payload)} if options.payload is not None else {})
    pack = _find_pack(api, options.pack)
    url = api.require_link(pack, "event", api.find_url("listPacks"))
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": options.key} if options.key else {})
    api.request("POST", url, json.dumps(event).encode(), headers)
    print(f"{pack['id']} has told of {options.event}; `flyte audit tail` shows what comes of it")
    return 0


def read_json(text: str) -> Any:
    """The JSON value in a text, in the file behind `@`, or in standard input. Raises `SettingsError`."""
    source = text
    try:
        if text == "-":
            source, text = "standard input", sys.stdin.read()
        elif text.startswith("@"):
            source = text[1:]
            text = Path(source).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise SettingsError(f"{source}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source[:60]}: is no JSON ({error})") from None
