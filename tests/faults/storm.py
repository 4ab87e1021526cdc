"""The storm: faults by plan, and restarts of the processes that ended."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from tests.faults.clocks import DATABASE, MachineClock
from tests.faults.disks import SmallDisk
from tests.faults.journal import Journal
from tests.faults.plan import HAZARD_FACTOR, Fault
from tests.faults.programs import SoakProgram, child_running, children, processes_of
from tests.faults.slow_clients import SlowClients
from tests.faults.store import has_waiting_transaction, is_answered
from tests.private_postgres import PrivatePostgres
from tests.private_redis import PrivateRedis

TICK_SECONDS = 0.05
# A kill waits at most this long for a moment at which a request is in progress or was just answered.
BUSY_SECONDS = 1.0
GLANCE_SECONDS = 0.001
# A server is frozen and resumed until it has a transaction in progress, at most this often.
MAX_FREEZES = 40
TRICKLE_SECONDS = 1.0
# A clock is set to at most so much more or less than the time.
MAX_CLOCK_STEP_SECONDS = 60.0


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
    disk: SmallDisk | None = None
    clocks: Mapping[str, MachineClock] = field(default_factory=dict)
    frozen: set[int] = field(default_factory=set)
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
        if target in COSTLY and (self.frozen or len(serving) < len(self.servers)):
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
            "disk": lambda how: self.fill_disk(fault),
            "clients": lambda how: self.send_slow_clients(server, fault),
            "clock": lambda how: self.step_clock(fault),
        }

    def hit_program(self, program: SoakProgram, fault: Fault, how: str) -> bool:
        if not program.runs:
            return False
        if how == "frozen" and program in self.servers:
            self.freeze_server(program, fault)
        elif how == "frozen":
            program.signal(signal.SIGSTOP)
            self.in_time(fault.seconds, lambda: program.signal(signal.SIGCONT))
        elif how == "stopped":
            program.stop(fault.seconds)
        else:
            program.kill(fault.seconds)
        return True

    def freeze_server(self, server: SoakProgram, fault: Fault) -> None:
        """Freeze all processes of a server; on PostgreSQL, if possible, while one of them is in a transaction."""
        self.leaves(f"{server.name} frozen")
        postgres = None if "PostgreSQL" in self.away else self.postgres
        is_inside = False
        for _ in range(MAX_FREEZES if postgres else 1):
            server.signal(signal.SIGSTOP)
            is_inside = postgres is not None and has_waiting_transaction(postgres.url)
            if is_inside:
                break
            server.signal(signal.SIGCONT)
            time.sleep(TICK_SECONDS)
        server.signal(signal.SIGSTOP)
        self.journal.note("frozen", server=server.name, in_transaction=is_inside)
        pid = server.pid
        self.frozen.add(pid)
        self.in_time(fault.seconds * HAZARD_FACTOR, lambda: self.resume_server(server, pid))

    def resume_server(self, server: SoakProgram, pid: int) -> None:
        self.frozen.discard(pid)
        self.comes_back(f"{server.name} frozen", lambda: server.signal(signal.SIGCONT))

    def fill_disk(self, fault: Fault) -> bool:
        if self.disk is None or "disk" in self.away:
            return False
        self.leaves("disk")
        self.disk.fill()
        self.in_time(fault.seconds * HAZARD_FACTOR, lambda: self.comes_back("disk", self.disk.free))  # type: ignore[union-attr]
        return True

    def step_clock(self, fault: Fault) -> bool:
        """Set the clock of a machine back or forward, and later back to the time."""
        names = [name for name in sorted(self.clocks) if f"clock of {name}" not in self.away]
        if not names:
            return False
        name = names[int(fault.choice * 1000) % len(names)]
        clock, step = self.clocks[name], (fault.choice * 2 - 1) * MAX_CLOCK_STEP_SECONDS
        self.leaves(f"clock of {name}")
        clock.set_offset(step)
        self.journal.note("clock_set", machine=name, seconds=step)
        ends_in = fault.seconds * HAZARD_FACTOR
        self.in_time(ends_in, lambda: self.comes_back(f"clock of {name}", lambda: clock.set_offset(0)))
        return True

    def send_slow_clients(self, server: SoakProgram, fault: Fault) -> bool:
        clients = SlowClients(int(server.environment["FLYTE_PORT"]))
        clients.open()
        self.trickle(server, clients, time.monotonic() + fault.seconds * HAZARD_FACTOR)
        return True

    def trickle(self, server: SoakProgram, clients: SlowClients, until: float) -> None:
        """Let slow clients send a byte each, and note it if they keep others out; repeat it until the time is over."""
        clients.trickle()
        before = self.undisturbed_workers(server)
        if before and not is_answered(clients.port) and self.undisturbed_workers(server) == before:
            self.journal.note("kept_out", server=server.name)
        if time.monotonic() < until:
            self.in_time(TRICKLE_SECONDS, lambda: self.trickle(server, clients, until))
        else:
            clients.close()

    def undisturbed_workers(self, server: SoakProgram) -> list[int]:
        """Return the web processes of a server; none if some are frozen, or if the database is away."""
        return [] if self.frozen or self.away else web_workers(server)

    def hit_web_worker(self, server: SoakProgram, fault: Fault, how: str) -> bool:
        workers = web_workers(server)
        if not workers:
            return False
        pid = workers[int(fault.choice * 1000) % len(workers)]  # not always the first of the first server
        if how == "killed":
            return _kill(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        self.frozen.add(pid)
        self.leaves(f"web worker {pid} frozen")
        self.in_time(fault.seconds, lambda: self.comes_back(f"web worker {pid} frozen", lambda: self.thaw(pid)))
        return True

    def thaw(self, pid: int) -> None:
        self.frozen.discard(pid)
        if pid in processes_of(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def hit_postgres(self, fault: Fault, how: str) -> bool:
        postgres = self.postgres
        if postgres is None or "PostgreSQL" in self.away:
            return False
        self.leaves("PostgreSQL")
        postgres.interrupt(signal.SIGINT if how == "stopped" else signal.SIGQUIT)
        self.in_time(fault.seconds, lambda: self.comes_back("PostgreSQL", self.start_postgres))
        return True

    def start_postgres(self) -> None:
        clock = self.clocks.get(DATABASE)
        with patch.dict(os.environ, clock.environment() if clock else {}):
            self.postgres.start_again()  # type: ignore[union-attr]

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
