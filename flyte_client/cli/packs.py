"""`flyte packs` and `flyte events`: listing packs, and sending an event as a pack."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flow_files.errors import describe_read_error
from flyte_client.cli.server_api import ServerApi
from flyte_client.cli.tables import print_json, print_table
from flyte_client.errors import FlyteError, SettingsError
from flyte_formats.arguments import decode_argument
from flyte_formats.decoding import decode_text
from flyte_formats.json_text import parse_json


def add_pack_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "pack",
        nargs="?",
        metavar="PACK",
        type=decode_argument,
        help="id or name of a pack: list its commands and events",
    )
    parser.add_argument("--json", action="store_true", help="print the API's response")


def show_packs(api: ServerApi, options: Namespace) -> int:
    """List the registered packs, or show one of them."""
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
    print_table(("KIND", "NAME", "EVENTS"), [*commands, *events])
    return 0


def _find_pack(api: ServerApi, id_or_name: str) -> Mapping[str, Any]:
    """Fetch a pack with its links by its id, or by its name if only one pack has that name."""
    url = api.find_url("listPacks")
    rows = list(api.iter_items(url, "packs"))
    matches = [row for row in rows if row["id"] == id_or_name] or [row for row in rows if row["name"] == id_or_name]
    if not matches:
        raise FlyteError(f"pack {id_or_name!r} not found; run `flyte packs` for a list")
    if len(matches) > 1:
        ids = ", ".join(row["id"] for row in matches[:20])
        raise FlyteError(f"several packs have the name {id_or_name!r}, use an id: {ids}")
    return api.get_json(api.require_link(matches[0], "self", url))


def add_event_arguments(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    send = commands.add_parser("send", help="send an event as a registered pack")
    send.add_argument("pack", metavar="PACK", type=decode_argument, help="id or name of the pack")
    send.add_argument("event", metavar="EVENT", type=decode_argument, help="name of the event")
    send.add_argument("payload", metavar="PAYLOAD", nargs="?", help="JSON, @FILE, or - for standard input")
    send.add_argument(
        "--key", type=decode_argument, help="idempotency key: an event sent again with the same key counts once"
    )


def send_event(api: ServerApi, options: Namespace) -> int:
    """Send an event as a pack."""
    event = {"event": options.event} | ({"payload": read_json(options.payload)} if options.payload is not None else {})
    pack = _find_pack(api, options.pack)
    url = api.require_link(pack, "event", api.find_url("listPacks"))
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": options.key} if options.key else {})
    api.request("POST", url, json.dumps(event).encode(), headers)
    declared_names = [declared.get("name") for declared in pack.get("events") or []]
    if options.event not in declared_names:
        print(
            f"flyte: warning: pack {pack['id']!r} does not declare event {options.event!r}; "
            f"declared: {', '.join(map(str, declared_names)) or 'none'}",
            file=sys.stderr,
        )
    print(f"sent {options.event} as {pack['id']}; run `flyte audit tail` to see what it starts")
    return 0


def read_json(text: str) -> Any:
    """Parse a JSON value from a text, from a file (`@FILE`), or from standard input (`-`). Raises `SettingsError`."""
    source = text
    try:
        if text == "-":
            source, data = "standard input", sys.stdin.buffer.read()
        elif text.startswith("@"):
            source = text[1:]
            data = Path(source).read_bytes()
        else:
            data = text.encode("utf-8", "surrogateescape")
        return parse_json(decode_text(data, errors="strict"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{source[:60]}: {describe_read_error(error)}") from None
    except ValueError as error:
        raise SettingsError(f"{source[:60]}: invalid JSON ({error})") from None
