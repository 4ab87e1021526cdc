"""`flyte audit tail`: state changes of actions as they happen."""

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from flow_files.errors import format_names
from flyte_client.cli.flow_store import RemoteFlowStore
from flyte_client.cli.server_api import ServerApi
from flyte_client.cli.tables import replace_unprintable
from flyte_client.errors import FlyteError, RefusedError, ServerAwayError
from flyte_formats.arguments import decode_argument
from flyte_formats.output import format_json

MAX_EXECUTIONS = 500
MAX_PAGES_PER_POLL = 10
MAX_PRINTED_KEYS = 20_000
COLUMN_WIDTHS = (24, 24, 20, 30)


def add_arguments(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    tail = commands.add_parser("tail", help="print the last state changes of actions; with -f, new ones as they happen")
    tail.add_argument("-f", "--follow", action="store_true", help="keep printing new changes until Ctrl-C")
    tail.add_argument(
        "-n", "--lines", type=_parse_count, default=20, metavar="N", help="number of past changes to print (20)"
    )
    tail.add_argument("--flow", type=decode_argument, help="only this flow")
    tail.add_argument(
        "--interval", type=_parse_interval, default=2.0, metavar="SECONDS", help="time between two polls (2)"
    )
    tail.add_argument("--json", action="store_true", help="print each change as a line of JSON")


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 10_000):
        raise ArgumentTypeError("must be a whole number from 0 to 10000")
    return int(text)


def _parse_interval(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:
        raise ArgumentTypeError("must be a number of seconds from 0.1 to 3600")
    return value


@dataclass(frozen=True)
class StateChange:
    """An action's change of state, with the API's time format."""

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


def tail_changes(api: ServerApi, options: Namespace) -> int:
    """Print changes, oldest first; with `--follow`, until interrupted."""
    url = api.find_url("findFlows").copy_merge_params({"flowName": options.flow} if options.flow else {})
    printed = _PrintedChanges()
    changes = printed.take_new(_fetch_past_changes(api, url, options.lines))
    if options.flow and not changes:
        _require_flow(api, options)
    _print_changes(changes[len(changes) - min(options.lines, len(changes)) :], options, titles=not options.json)
    while options.follow:
        time.sleep(options.interval)
        try:
            _print_changes(printed.take_new(_fetch_recent_changes(api, url, printed)), options)
        except ServerAwayError:
            continue  # keep following while the server restarts
    return 0


def _fetch_past_changes(api: ServerApi, url: httpx.URL, count: int) -> list[StateChange]:
    """Fetch at least the last `count` state changes if there are so many, oldest first."""
    next_url: httpx.URL | None = url.copy_merge_params({"limit": MAX_EXECUTIONS if count > 50 else 50})
    changes: list[StateChange] = []
    while next_url:
        page_changes, next_url = _fetch_changes(api, next_url)
        changes += page_changes
        if len(changes) >= count:
            break
    return sorted(changes, key=lambda change: change.time)


def _fetch_recent_changes(api: ServerApi, url: httpx.URL, printed: "_PrintedChanges") -> list[StateChange]:
    """Fetch the state changes of pages up to the first with one that was printed, oldest first."""
    next_url: httpx.URL | None = url.copy_merge_params({"limit": MAX_EXECUTIONS})
    changes: list[StateChange] = []
    for _ in range(MAX_PAGES_PER_POLL):
        if next_url is None:
            break
        page_changes, next_url = _fetch_changes(api, next_url)
        changes += page_changes
        if any(change.key in printed.keys for change in page_changes):
            break
    else:
        if next_url and printed.keys:
            print("flyte: too many changes since the last poll; the oldest of them are missing", file=sys.stderr)
    return sorted(changes, key=lambda change: change.time)


def _require_flow(api: ServerApi, options: Namespace) -> None:
    """Report a flow that does not exist: its name is probably misspelled. Raises `FlyteError` without `--follow`."""
    try:
        names = RemoteFlowStore(api).names()
    except RefusedError:
        return  # the token may read the audit but not the flows
    if options.flow in names:
        return
    message = f"flow {options.flow!r} not found, and it has no executions; flows: {format_names(names)}"
    if not options.follow:
        raise FlyteError(message)
    print(f"flyte: {message}", file=sys.stderr)


@dataclass
class _PrintedChanges:
    """The keys of changes that were already printed."""

    keys: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict)

    def take_new(self, changes: list[StateChange]) -> list[StateChange]:
        unseen = [change for change in changes if change.key not in self.keys]
        self.keys.update((change.key, None) for change in unseen)
        while len(self.keys) > MAX_PRINTED_KEYS:
            self.keys.popitem(last=False)
        return unseen


def _fetch_changes(api: ServerApi, url: httpx.URL) -> tuple[list[StateChange], httpx.URL | None]:
    """Fetch the state changes of a page of executions, and the address of the next page."""
    page, next_url = api.get_page(url)
    return [change for execution in page["flows"] for change in _list_state_changes(execution)], next_url


def _list_state_changes(execution: Mapping[str, Any]) -> Iterator[StateChange]:
    for action in execution["actions"].values():
        for state in action["states"]:
            yield StateChange(
                time=state["time"],
                flow=execution["name"],
                step=action["stepId"],
                command=f"{action['packName']}.{action['name']}",
                state="CANCELLED" if state.get("cancelled") else state["value"],
                execution=execution["correlationId"],
                action=action["id"],
            )


def _print_changes(changes: list[StateChange], options: Namespace, *, titles: bool = False) -> None:
    if options.json:
        for change in changes:
            print(format_json(vars(change)), flush=True)
        return
    if titles:
        print(_format_line("TIME", "EXECUTION", "FLOW", "STEP", "COMMAND", "STATE"))
    for change in changes:
        print(
            _format_line(change.time, change.execution, change.flow, change.step, change.command, change.state),
            flush=True,
        )


def _format_line(timestamp: str, *cells: str) -> str:
    padded = [f"{replace_unprintable(cell):{width}}" for cell, width in zip(cells, COLUMN_WIDTHS, strict=False)]
    return "  ".join([f"{timestamp:24}", *padded, replace_unprintable(cells[-1])])
