"""A program that kills the processes of a run of tests after its end, however it ended.

    python tests/watchdog.py TOKEN

Its standard input is a pipe whose other end only the run has, so that it notices the end of the run, even
after SIGKILL. Each line is a process that the run has started, as JSON:

    {"pid": 4711, "signal": 9, "folder": null}

The run consists of these processes, their process groups and sessions, every process whose environment has the token,
and all descendants of these. Each gets SIGKILL; a process registered with another signal gets that first, and some
seconds to end. Registered folders are removed last. It needs Linux's /proc.
"""

import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

END_SECONDS = 10.0
GIVE_UP_SECONDS = 60.0
PAUSE_SECONDS = 0.02
FORGET_SECONDS = 10.0
DEAD = "ZX"


class Status(NamedTuple):
    """A line of the process table; `started` is in clock ticks since boot."""

    parent: int
    group: int
    session: int
    started: int


class Registered(NamedTuple):
    """A process that the run has started; `started` is None if it had ended before it was registered."""

    pid: int
    started: int | None
    signal: int
    folder: str | None


def read_status(pid: int) -> Status | None:
    """Read the status of a process that is alive."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in DEAD:
        return None
    return Status(int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def read_processes() -> dict[int, Status]:
    """Read the process table, without this process."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    return {pid: status for pid in pids if (status := read_status(pid))}


def has_token(pid: int, token: bytes) -> bool:
    try:
        return token in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def find_members(registered: list[Registered], token: bytes) -> set[int]:
    """Find the processes that belong to the run."""
    processes = read_processes()
    leaders = {process.pid for process in registered}
    starts = {(process.pid, process.started) for process in registered}
    members = {
        pid
        for pid, status in processes.items()
        if (pid, status.started) in starts or {status.group, status.session} & leaders or has_token(pid, token)
    }
    while True:
        children = {pid for pid, status in processes.items() if status.parent in members} - members
        if not children:
            return members
        members |= children


def parse(line: str) -> Registered:
    fields = json.loads(line)
    status = read_status(fields["pid"])
    return Registered(fields["pid"], status.started if status else None, fields["signal"], fields["folder"])


def drop_ended(registered: list[Registered]) -> list[Registered]:
    """Drop processes that have ended and whose groups are empty: their ids may be reused."""
    ids = {number for pid, status in read_processes().items() for number in (pid, status.group, status.session)}
    return [process for process in registered if process.folder or process.pid in ids]


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def end_run(registered: list[Registered], token: bytes) -> None:
    """Kill all processes of the run, and wait for their ends."""
    gentle = {process.pid: process.signal for process in registered if process.signal != signal.SIGKILL}
    members = find_members(registered, token)
    waiting = {pid for pid in gentle if pid in members}
    for pid in waiting:
        send(pid, gentle[pid])
    deadline = time.monotonic() + END_SECONDS
    while members and time.monotonic() < deadline + GIVE_UP_SECONDS:
        if time.monotonic() > deadline:
            waiting.clear()
        # A process that got another signal ends its children itself.
        for pid in members - waiting - find_descendants(waiting):
            send(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)
        members = find_members(registered, token)
    for folder in {process.folder for process in registered if process.folder}:
        shutil.rmtree(folder, ignore_errors=True)


def find_descendants(pids: set[int]) -> set[int]:
    processes = read_processes()
    descendants: set[int] = set()
    while children := {pid for pid, status in processes.items() if status.parent in pids | descendants} - descendants:
        descendants |= children
    return descendants


def main(token: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.fork():
        os._exit(0)  # not a child of the run: the watchdog of an outer run may kill the run with its children
    registered: list[Registered] = []
    dropped = time.monotonic()
    for line in sys.stdin:
        registered.append(parse(line))
        if time.monotonic() > dropped + FORGET_SECONDS:
            registered = drop_ended(registered)
            dropped = time.monotonic()
    end_run(registered, token.encode())


if __name__ == "__main__":
    main(sys.argv[1])
