"""`flyte audit tail`: what runs, as it happens."""

import json
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from flyte_client.cli.remote import Remote
from flyte_client.cli.tables import plain
from flyte_client.errors import ServerAwayError

LIMIT = 500
MAX_REMEMBERED = 20_000
WIDTHS = (24, 24, 20, 30)


def add(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
    tail = commands.add_parser("tail", help="the last changes of actions; with -f each new one as it comes")
    tail.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    tail.add_argument("-n", "--lines", type=_count, default=20, metavar="N", help="how many to begin with (20)")
    tail.add_argument("--flow", help="of this flow alone")
    tail.add_argument("--interval", type=_seconds, default=2.0, metavar="SECONDS", help="between two looks (2)")
    tail.add_argument("--json", action="store_true", help="print a line of JSON for each")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 10_000):
        raise ArgumentTypeError("must be a whole number from 0 to 10000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:
        raise ArgumentTypeError("must be a number of seconds from 0.1 to 3600")
    return value


@dataclass(frozen=True)
class Change:
    """An action that entered a state. Times are as the API has them."""

    time: str
    flow: str
    step: str
    command: str
    state: str
    execution: str
    action: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.action, self.state, self.time


def tail(remote: Remote, asked: Namespace) -> int:
    """Print changes, oldest first; with `--follow` for ever."""
    url = remote.place("findFlows").copy_merge_params({"flowName": asked.flow} if asked.flow else {})
    seen = _Seen()
    known = seen.new(_changes(remote, url, LIMIT if asked.lines > 50 else 50))
    _print(known[len(known) - min(asked.lines, len(known)) :], asked, titles=not asked.json)
    while asked.follow:
        time.sleep(asked.interval)
        try:
            _print(seen.new(_changes(remote, url, LIMIT)), asked)
        except ServerAwayError:
            continue  # who follows a server over its restart wants to go on
    return 0


@dataclass
class _Seen:
    """What was printed, so that it is not printed again."""

    keys: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict)

    def new(self, changes: list[Change]) -> list[Change]:
        found = [change for change in changes if change.key not in self.keys]
        self.keys.update((change.key, None) for change in found)
        while len(self.keys) > MAX_REMEMBERED:
            self.keys.popitem(last=False)
        return found


def _changes(remote: Remote, url: httpx.URL, limit: int) -> list[Change]:
    """The states of the actions of the executions that were active last, the oldest first."""
    shown = remote.get(url.copy_merge_params({"limit": limit}))
    return sorted((change for run in shown["flows"] for change in _of(run)), key=lambda change: change.time)


def _of(execution: Mapping[str, Any]) -> Iterator[Change]:
    for action in execution["actions"].values():
        for state in action["states"]:
            yield Change(
                time=state["time"],
                flow=execution["name"],
                step=action["stepId"],
                command=f"{action['packName']}.{action['name']}",
                state="CANCELLED" if state.get("cancelled") else state["value"],
                execution=execution["correlationId"],
                action=action["id"],
            )


def _print(changes: list[Change], asked: Namespace, *, titles: bool = False) -> None:
    if asked.json:
        for change in changes:
            print(json.dumps(vars(change), ensure_ascii=False), flush=True)
        return
    if titles:
        print(_line("TIME", "EXECUTION", "FLOW", "STEP", "COMMAND", "STATE"))
    for one in changes:
        print(_line(one.time, one.execution, one.flow, one.step, one.command, one.state), flush=True)


def _line(moment: str, *cells: str) -> str:
    padded = [f"{plain(cell):{width}}" for cell, width in zip(cells, WIDTHS, strict=False)]
    return "  ".join([f"{moment:24}", *padded, cells[-1]])
