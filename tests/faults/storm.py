"""Does what the plan says to the processes, and keeps all else running."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.journal import Journal
from tests.faults.plan import Fault
from tests.faults.programs import Program, child_running, children, ours
from tests.private_postgres import PrivatePostgres
from tests.private_redis import PrivateRedis

TICK_SECONDS = 0.05
# A kill waits so long for a moment at which a request is under way or has just been answered.
BUSY_SECONDS = 1.0
GLANCE_SECONDS = 0.001


@dataclass
class Storm:
    """`others` are programs that no fault is done to."""

    folder: Path
    servers: Sequence[Program]
    packs: Sequence[Program]
    senders: Sequence[Program]
    others: Sequence[Program]
    postgres: PrivatePostgres | None = None
    redis: PrivateRedis | None = None
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "storm.jsonl")

    @property
    def programs(self) -> list[Program]:
        return [*self.servers, *self.packs, *self.senders, *self.others]

    def rage(self, plan: Sequence[Fault], seconds: float) -> None:
        """Go through the plan, for so many seconds; at the end nothing is stopped or frozen any more."""
        began = time.monotonic()
        waiting = list(plan)
        while (now := time.monotonic()) < began + seconds:
            while waiting and waiting[0].at <= now - began:
                self.do(waiting.pop(0))
            self.tend(now)
        while self.later:
            self.tend(time.monotonic())

    def tend(self, now: float) -> None:
        """Bring back what was away for long enough, and start what has ended; sleeps a little."""
        for entry in [entry for entry in self.later if entry[0] <= now]:
            self.later.remove(entry)
            entry[1]()
        for program in self.programs:
            program.look_after(now)
        time.sleep(TICK_SECONDS)

    def end(self) -> None:
        """Kill all programs."""
        for program in self.programs:
            program.wanted = False
            program.kill()

    def do(self, fault: Fault) -> None:
        """One fault, if there is somebody to do it to."""
        target, how = fault.kind.rsplit(" ", 1)
        serving = [one for one in self.servers if web_workers(one)]
        if target in COSTLY and len(serving) < len(self.servers):
            self.journal.note("fault_missed", what=fault.kind, choice=fault.choice)
            return
        server = _chosen(serving or self.servers, fault)
        if fault.kind in AT_A_BUSY_MOMENT:
            crowd = self.senders if target == "web_workers" else [*self.senders, *self.packs]
            wait_for_a_busy_moment(server, crowd)
        done = self.methods(server, fault)[target](how)
        self.journal.note("fault" if done else "fault_missed", what=fault.kind, choice=fault.choice)

    def methods(self, server: Program, fault: Fault) -> dict[str, Callable[[str], bool]]:
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

    def hit_program(self, program: Program, fault: Fault, how: str) -> bool:
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

    def hit_web_worker(self, server: Program, fault: Fault, how: str) -> bool:
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
        if pid in ours(self.folder):
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


# After these a server needs seconds to start: while one does, the others are let work.
COSTLY = ("serve", "supervisor", "server")
AT_A_BUSY_MOMENT = ("web_worker killed", "web_workers killed", "serve killed", "server killed", "PostgreSQL crashed")


def wait_for_a_busy_moment(server: Program, crowd: Sequence[Program]) -> None:
    """Until one of the crowd who talks to this server has just noted something.

    That is when a request was sent or its answer has come: what a server has said too early would be lost then.
    """
    port = server.environment["FLYTE_PORT"]
    talking = [one for one in crowd if one.environment["FLYTE_API"].endswith(f":{port}")]
    before = [_size(one) for one in talking]
    deadline = time.monotonic() + BUSY_SECONDS
    while before == [_size(one) for one in talking] and time.monotonic() < deadline:
        time.sleep(GLANCE_SECONDS)


def _size(program: Program) -> int:
    path = program.journal_path
    return path.stat().st_size if path.exists() else 0


def web_workers(server: Program) -> list[int]:
    serve = child_running(server.pid, "manage.py serve") if server.runs else None
    return children(serve) if serve else []


def _chosen(programs: Sequence[Program], fault: Fault) -> Program:
    return programs[int(fault.choice * len(programs))]


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _kill_child(server: Program, name: str) -> bool:
    pid = child_running(server.pid, f"manage.py {name}") if server.runs else None
    return pid is not None and _kill(pid)


def _kill_alone(server: Program, fault: Fault) -> bool:
    running = server.runs
    server.kill_alone(fault.seconds)
    return running
