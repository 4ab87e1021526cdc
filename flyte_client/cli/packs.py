"""`flyte packs` and `flyte events`: who there is, and telling the server something in a pack's name."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_client.cli.remote import Remote
from flyte_client.cli.tables import print_json, print_table
from flyte_client.errors import FlyteError, SettingsError


def add_packs(parser: ArgumentParser) -> None:
    parser.add_argument("pack", nargs="?", metavar="PACK", help="the id of one: what it can do and tells")
    parser.add_argument("--json", action="store_true", help="print what the API answers")


def packs(remote: Remote, asked: Namespace) -> int:
    """List the packs that registered, or show one."""
    if asked.pack:
        return _show(_pack(remote, asked.pack), asked)
    rows = list(remote.rows(remote.place("listPacks"), "packs"))
    if asked.json:
        print_json(rows)
    else:
        print_table(("PACK", "STATUS", "LAST SEEN"), ((row["id"], row["status"], row["lastSeen"]) for row in rows))
    return 0


def _show(pack: Mapping[str, Any], asked: Namespace) -> int:
    if asked.json:
        print_json(pack)
        return 0
    commands = [("command", one["name"], ", ".join(one.get("events") or [])) for one in pack.get("commands", [])]
    events = [("event", one["name"], "") for one in pack.get("events", [])]
    print_table(("KIND", "NAME", "GIVES"), [*commands, *events])
    return 0


def _pack(remote: Remote, identity: str) -> Mapping[str, Any]:
    """A pack with all its links, by its id, or by its name where one pack alone has that."""
    url = remote.place("listPacks")
    rows = list(remote.rows(url, "packs"))
    found = [row for row in rows if row["id"] == identity] or [row for row in rows if row["name"] == identity]
    if not found:
        raise FlyteError(f"no pack {identity!r} is registered; `flyte packs` lists them")
    if len(found) > 1:
        raise FlyteError(f"several packs are called {identity!r}: {', '.join(row['id'] for row in found[:20])}")
    return remote.get(remote.link(found[0], "self", url))


def add_events(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
    send = commands.add_parser("send", help="post an event as a pack that is registered")
    send.add_argument("pack", metavar="PACK", help="its id, or its name")
    send.add_argument("event", metavar="EVENT", help="the event's name")
    send.add_argument("payload", metavar="PAYLOAD", nargs="?", help="JSON; or @FILE; or - for standard input")
    send.add_argument("--key", help="a name of the event's own: sent again with the same key, it counts once")


def events(remote: Remote, asked: Namespace) -> int:
    """Post an event."""
    told = {"event": asked.event} | ({"payload": read_json(asked.payload)} if asked.payload is not None else {})
    pack = _pack(remote, asked.pack)
    url = remote.link(pack, "event", remote.place("listPacks"))
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": asked.key} if asked.key else {})
    remote.call("POST", url, json.dumps(told).encode(), headers)
    print(f"{pack['id']} has told of {asked.event}; `flyte audit tail` shows what comes of it")
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
