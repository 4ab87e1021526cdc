"""The storm: faults by plan, and restarts of the processes that ended."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.journal import Journal
from tests.faults.plan import Fault
from tests.faults.programs import SoakProgram, child_running, children, processes_of
from tests.private_postgres import PrivatePostgres
from tests.private_redis import PrivateRedis

TICK_SECONDS = 0.05
# A kill waits at most this long for a moment at which a request is in progress or was just answered.
BUSY_SECONDS = 1.0
GLANCE_SECONDS = 0.001


@dataclass
class Storm:
    """The processes under faults; `others` are programs without faults."""

    folder: Path
    servers: Sequence[SoakProgram]
    packs: Sequence[SoakProgram]
    senders: Sequence[SoakProgram]
    others: Sequence[SoakProgram]
    postgres: PrivatePostgres | None = None
    redis: PrivateRedis | None = None
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "storm.jsonl")

    @property
    def programs(self) -> list[SoakProgram]:
        return [*self.servers, *self.packs, *self.senders, *self.others]

    def rage(self, plan: Sequence[Fault], seconds: float) -> None:
        """Run the plan for `seconds`; at the end nothing is stopped or frozen."""
        began = time.monotonic()
        waiting = list(plan)
        while (now := time.monotonic()) < began + seconds:
            while waiting and waiting[0].at <= now - began:
                self.do(waiting.pop(0))
            self.tend(now)
        while self.later:
            self.tend(time.monotonic())

    def tend(self, now: float) -> None:
        """End the faults that are due, restart programs that have ended, and sleep for a tick."""
        for entry in [entry for entry in self.later if entry[0] <= now]:
            self.later.remove(entry)
            entry[1]()
        for program in self.programs:
            program.restart_if_due(now)
        time.sleep(TICK_SECONDS)

    def end(self) -> None:
        """Kill all programs."""
        for program in self.programs:
            program.enabled = False
            program.kill()

    def do(self, fault: Fault) -> None:
        """Inject a fault, or note that it has no target."""
        target, how = fault.kind.rsplit(" ", 1)
        serving = [server for server in self.servers if web_workers(server)]
        if target in COSTLY and len(serving) < len(self.servers):
            self.journal.note("fault_missed", what=fault.kind, choice=fault.choice)
            return
        server = _chosen(serving or self.servers, fault)
        if fault.kind in AT_A_BUSY_MOMENT:
            clients = self.senders if target == "web_workers" else [*self.senders, *self.packs]
            wait_for_a_busy_moment(server, clients)
        done = self.methods(server, fault)[target](how)
        self.journal.note("fault" if done else "fault_missed", what=fault.kind, choice=fault.choice)

    def methods(self, server: SoakProgram, fault: Fault) -> dict[str, Callable[[str], bool]]:
        return {
            "web_worker": lambda how: self.hit_web_worker(server, fault, how),
            "web_workers": lambda how: sum(map(_kill, web_workers(server))) > 0,
            "serve": lambda how: _kill_child(server, "serve"),
            "worker": lambda how: _kill_child(server, "worker"),
            "beat": lambda how: _kill_child(server, "beat"),
            "jobs": lambda how: _kill_child(server, "jobs"),
            "supervisor": lambda how: _kill_alone(server, fault),
            "server": lambda how: self.hit_program(server, fault, how),
            "pack": lambda how: self.hit_program(_chosen(self.packs, fault), fault, how),
            "sender": lambda how: self.hit_program(_chosen(self.senders, fault), fault, how),
            "PostgreSQL": lambda how: self.hit_postgres(fault, how),
            "Redis": lambda how: self.hit_redis(fault),
        }

    def hit_program(self, program: SoakProgram, fault: Fault, how: str) -> bool:
        if not program.runs:
            return False
        if how == "frozen":
            program.signal(signal.SIGSTOP)
            self.in_time(fault.seconds, lambda: program.signal(signal.SIGCONT))
        elif how == "stopped":
            program.stop(fault.seconds)
        else:
            program.kill(fault.seconds)
        return True

    def hit_web_worker(self, server: SoakProgram, fault: Fault, how: str) -> bool:
        workers = web_workers(server)
        if not workers:
            return False
        pid = workers[int(fault.choice * 1000) % len(workers)]  # not always the first of the first server
        if how == "killed":
            return _kill(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        self.in_time(fault.seconds, lambda: self.thaw(pid))
        return True

    def thaw(self, pid: int) -> None:
        if pid in processes_of(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def hit_postgres(self, fault: Fault, how: str) -> bool:
        postgres = self.postgres
        if postgres is None or "PostgreSQL" in self.away:
            return False
        self.leaves("PostgreSQL")
        postgres.interrupt(signal.SIGINT if how == "stopped" else signal.SIGQUIT)
        self.in_time(fault.seconds, lambda: self.comes_back("PostgreSQL", postgres.start_again))
        return True

    def hit_redis(self, fault: Fault) -> bool:
        redis = self.redis
        if redis is None or "Redis" in self.away:
            return False
        self.leaves("Redis")
        redis.stop()
        self.in_time(fault.seconds, lambda: self.comes_back("Redis", redis.start_again))
        return True

    def leaves(self, name: str) -> None:
        self.journal.note("outage_began", what=name)
        self.away.add(name)

    def comes_back(self, name: str, start: Callable[[], None]) -> None:
        start()
        self.away.discard(name)
        self.journal.note("outage_ended", what=name)

    def in_time(self, seconds: float, what: Callable[[], None]) -> None:
        self.later.append((time.monotonic() + seconds, what))


# After these a server needs seconds to start; meanwhile the others get no such fault.
COSTLY = ("serve", "supervisor", "server")
AT_A_BUSY_MOMENT = ("web_worker killed", "web_workers killed", "serve killed", "server killed", "PostgreSQL crashed")


def wait_for_a_busy_moment(server: SoakProgram, clients: Sequence[SoakProgram]) -> None:
    """Wait until a client of this server has written to its journal.

    At that moment a request was sent or its response has arrived, so a response that was sent too early would be lost.
    """
    port = server.environment["FLYTE_PORT"]
    talking = [client for client in clients if client.environment["FLYTE_API"].endswith(f":{port}")]
    before = [_size(client) for client in talking]
    deadline = time.monotonic() + BUSY_SECONDS
    while before == [_size(client) for client in talking] and time.monotonic() < deadline:
        time.sleep(GLANCE_SECONDS)


def _size(program: SoakProgram) -> int:
    path = program.journal_path
    return path.stat().st_size if path.exists() else 0


def web_workers(server: SoakProgram) -> list[int]:
    serve = child_running(server.pid, "manage.py serve") if server.runs else None
    return children(serve) if serve else []


def _chosen(programs: Sequence[SoakProgram], fault: Fault) -> SoakProgram:
    return programs[int(fault.choice * len(programs))]


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _kill_child(server: SoakProgram, name: str) -> bool:
    pid = child_running(server.pid, f"manage.py {name}") if server.runs else None
    return pid is not None and _kill(pid)


def _kill_alone(server: SoakProgram, fault: Fault) -> bool:
    running = server.runs
    server.kill_alone(fault.seconds)
    return running
