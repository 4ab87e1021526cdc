"""A soak: real processes under faults, a time without faults, and the story of the run."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from tests.faults.clocks import DATABASE, MachineClock, is_compiler_installed, make_clocks
from tests.faults.disks import SmallDisk, can_mount, move_database, small_disk
from tests.faults.flows import ALPHA, BETA, FLOWS, LEASE_SECONDS, PLAIN
from tests.faults.journal import SEED_VARIABLE, read_journals
from tests.faults.plan import HAZARDS, WEIGHTS, make_plan
from tests.faults.programs import SoakProgram, kill_all
from tests.faults.store import count_open, read_actions, read_executions
from tests.faults.storm import Storm
from tests.faults.story import Story
from tests.private_postgres import PrivatePostgres, free_port, private_postgres
from tests.private_redis import PrivateRedis, private_redis
from tests.server import server_environment

START_SECONDS = 120.0
SETTLE_SECONDS = 150.0
PAGE = 500
# A crash of PostgreSQL must lose no committed transaction; the disk itself is not tested.
POSTGRES_OPTIONS = {"synchronous_commit": "on"}
# A frozen server must lose its transaction while it is frozen, and slow clients must reach the limits.
FROZEN_VARIABLES = {"FLYTE_REQUEST_IDLE_SECONDS": "3", "FLYTE_JOB_IDLE_SECONDS": "3"}
SLOW_VARIABLES = {
    "FLYTE_WEB_THREADS": "16",
    "FLYTE_WEB_CONNECTIONS": "128",
    "FLYTE_HEADER_TIMEOUT_SECONDS": "10",
    "FLYTE_CLIENT_TIMEOUT_SECONDS": "5",
}
SERVER_VARIABLES = {"FLYTE_LEASE_CHECK_SECONDS": "1", "FLYTE_ACTION_LEASE_SECONDS": str(LEASE_SECONDS)}


class NotSettledError(AssertionError):
    """A condition that was not met within a generous time."""


@dataclass(frozen=True)
class Settings:
    """Settings of a soak: `between` and `pace` are the mean times between faults, and between events of a sender.

    `excluded_kinds` are faults to leave out; the soak continues until `min_events` events are accepted.
    """

    seed: int
    seconds: float
    postgres: bool = False
    redis: bool = True
    servers: int = 2
    senders: int = 2
    between: float = 1.8
    pace: float = 0.4
    hazards: frozenset[str] = frozenset()
    excluded_kinds: frozenset[str] = frozenset()
    min_events: int = 10

    def kinds(self) -> frozenset[str]:
        """Return the kinds of faults that are possible."""
        absent = {"jobs"} if self.redis else {"worker", "beat", "Redis"}
        absent |= set() if self.postgres else {"PostgreSQL"}
        absent |= set() if can_mount() else {"disk"}
        absent |= set() if is_compiler_installed() else {"clock"}
        possible = frozenset(kind for kind in WEIGHTS if kind.rsplit(" ", 1)[0] not in absent)
        return possible - (HAZARDS - self.hazards) - self.excluded_kinds


@dataclass
class Soak:
    """The processes of one soak. `urls` are those of its servers."""

    settings: Settings
    storm: Storm
    database_url: str
    urls: Sequence[str]
    unsettled: list[str] = field(default_factory=list)

    def run(self) -> Story:
        """Start all programs, run the plan of faults, and wait until all work is done; note the rest in `unsettled`.

        Raises `NotSettledError` if the servers do not start.
        """
        settings = self.settings
        self.start()
        self.storm.rage(
            make_plan(settings.seed, settings.seconds, settings.kinds(), settings.between), settings.seconds
        )
        self.settle()
        self.stop(self.storm.packs)
        audit = dict(read_audit(self.urls[0]))
        self.stop(self.storm.servers)
        executions, actions = read_executions(self.database_url), read_actions(self.database_url)
        return Story(read_journals(self.storm.folder), executions, actions, audit)

    def start(self) -> None:
        enable(self.storm.servers)
        for url in self.urls:
            self.wait(lambda: healthy(url), f"{url} answers", START_SECONDS)  # noqa: B023 - waited for at once
        for flow in FLOWS:
            httpx.post(f"{self.urls[0]}/v1/flows", json=flow, timeout=START_SECONDS, trust_env=False).raise_for_status()
        enable([*self.storm.packs, *self.storm.senders, *self.storm.others])

    def settle(self) -> None:
        """Wait without faults until all work is done."""
        self.wait_or_note(
            lambda: count_accepted(self.storm.folder) >= self.settings.min_events, "enough events are accepted"
        )
        for other in self.storm.others:
            other.enabled = False
            other.kill()
        for sender in self.storm.senders:
            sender.enabled = False
            sender.signal(signal.SIGTERM)
        senders = self.storm.senders
        self.wait_or_note(lambda: not any(sender.runs for sender in senders), "the senders end what they began")
        self.wait_for_open_work()

    def wait_for_open_work(self) -> None:
        """Wait until no action and no execution is open, as long as they become fewer."""
        left = count_open(self.database_url)
        while left:
            before = left
            try:
                self.wait(lambda: count_open(self.database_url) < before, "fewer actions and executions are open")  # noqa: B023
            except NotSettledError as error:
                self.unsettled.append(str(error))
                return
            left = count_open(self.database_url)

    def wait_or_note(self, condition: Callable[[], bool], what: str) -> None:
        try:
            self.wait(condition, what)
        except NotSettledError as error:
            self.unsettled.append(str(error))

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise NotSettledError(f"it did not come in {seconds:.0f} s that {what}")
            self.storm.tend(time.monotonic())

    def stop(self, programs: Sequence[SoakProgram]) -> None:
        """Stop programs by SIGTERM; note each exit code that is not 0."""
        for program in programs:
            program.enabled = False
        for program in programs:
            if program.runs and (code := program.stop()) != 0:
                self.unsettled.append(f"{program.name} ended with {code} when it was told to stop")


def enable(programs: Sequence[SoakProgram]) -> None:
    for program in programs:
        program.enabled = True


@contextmanager
def prepare_soak(settings: Settings, folder: Path) -> Iterator[Soak]:
    """Prepare a soak with all its files in `folder`; stop all its processes at the end of the block."""
    with ExitStack() as stack:
        stack.callback(kill_all, folder)
        folder.chmod(0o711)  # PostgreSQL has another account
        names = [f"server-{number}" for number in range(1, settings.servers + 1)]
        machines = prepare_machines(stack, settings, folder, names)
        database_url = machines.database_url
        variables = {**SERVER_VARIABLES, **machines.variables}
        environment = server_environment(database_url, variables) | {SEED_VARIABLE: str(settings.seed)}
        ports = [free_port() for _ in names]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        servers = [
            SoakProgram(
                name,
                ["manage.py", "run"],
                {**environment, "FLYTE_PORT": str(port), **machines.environment_of(name)},
                folder,
            )
            for name, port in zip(names, ports, strict=True)
        ]
        factory = ProgramFactory(folder, environment, urls)
        cancelling = str(max(settings.seconds / 20, 2))
        storm = Storm(
            folder,
            servers,
            factory.packs(),
            [factory.program(f"sender-{n}", "sender", str(n), str(settings.pace)) for n in range(settings.senders)],
            [factory.program("canceller", "canceller", cancelling)],
            machines.postgres,
            machines.redis,
            machines.disk,
            machines.clocks,
        )
        stack.callback(storm.end)
        yield Soak(settings, storm, database_url, urls)


@dataclass
class Machines:
    """The databases, disk and clocks of a soak; `variables` are settings of the servers."""

    database_url: str
    postgres: PrivatePostgres | None
    redis: PrivateRedis | None
    disk: SmallDisk | None
    clocks: Mapping[str, MachineClock]
    variables: Mapping[str, str]

    def environment_of(self, name: str) -> Mapping[str, str]:
        """Return the environment of a server with its own clock, if it has one. On SQLite all have the same."""
        clock = self.clocks.get(name if self.postgres else DATABASE)
        return clock.environment() if clock else {}


def prepare_machines(stack: ExitStack, settings: Settings, folder: Path, servers: Sequence[str]) -> Machines:
    """Start the databases, and prepare a disk and clocks if the plan has faults of them."""
    kinds = settings.kinds()
    disk = stack.enter_context(small_disk(folder / "disk")) if "disk filled" in kinds else None
    clocks: dict[str, MachineClock] = {}
    if "clock stepped" in kinds:
        clocks = make_clocks(folder / "clocks", [DATABASE, *(servers if settings.postgres else [])])
    with patch.dict(os.environ, clocks[DATABASE].environment() if clocks else {}):
        postgres = stack.enter_context(private_postgres(POSTGRES_OPTIONS)) if settings.postgres else None
    if postgres and disk:
        move_database(postgres.url, disk, postgres.folder.stat().st_uid)
    redis = stack.enter_context(private_redis()) if settings.redis else None
    database_url = postgres.url if postgres else f"sqlite:///{(disk.path if disk else folder) / 'flyte.sqlite3'}"
    variables = {"FLYTE_REDIS_URL": redis.url if redis else ""}
    if "server frozen" in kinds:
        variables |= FROZEN_VARIABLES
    if "clients slow" in kinds:
        variables |= SLOW_VARIABLES
    return Machines(database_url, postgres, redis, disk, clocks, variables)


@dataclass
class ProgramFactory:
    """A factory of clients, which it assigns to the servers in turn."""

    folder: Path
    environment: Mapping[str, str]
    urls: Sequence[str]
    count: int = 0

    def program(self, name: str, module: str, *arguments: str, **variables: str) -> SoakProgram:
        url = self.urls[self.count % len(self.urls)]
        self.count += 1
        environment = {**self.environment, "FLYTE_API": url, **variables}
        return SoakProgram(name, ["-m", f"tests.faults.{module}", *arguments], environment, self.folder)

    def packs(self) -> list[SoakProgram]:
        return [
            self.program("alpha-1", "client_pack", ALPHA),
            self.program("alpha-2", "client_pack", ALPHA),
            self.program("beta-1", "client_pack", BETA, FLYTE_LABELS="env=soak"),
            self.program("plain-1", "plain_pack", PLAIN),
            self.program("plain-2", "plain_pack", PLAIN),
        ]


def count_accepted(folder: Path) -> int:
    """Count the events that were answered with 202 so far."""
    notes = (note for note in read_journals(folder) if note["kind"] == "event_answered")
    return len({note["key"] for note in notes if note["status"] == 202})


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def read_audit(url: str) -> Iterator[tuple[str, Any]]:
    """Yield the id and the document of each execution in the audit."""
    with httpx.Client(base_url=url, timeout=START_SECONDS, trust_env=False) as http:
        path = f"/v1/audit/flows?limit={PAGE}"
        while path:
            answer = http.get(path).raise_for_status()
            yield from ((execution["correlationId"], execution) for execution in answer.json()["flows"])
            path = answer.links.get("next", {}).get("url", "")
