"""One soak: real processes, a storm of faults, quiet, and what is known then."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.faults.flows import ALPHA, BETA, FLOWS, LEASE_SECONDS, PLAIN
from tests.faults.journal import SEED_VARIABLE, read_journals
from tests.faults.plan import WEIGHTS, make_plan
from tests.faults.programs import Program, kill_all
from tests.faults.store import count_open, read_actions, read_executions
from tests.faults.storm import Storm
from tests.faults.story import Story
from tests.private_postgres import free_port, private_postgres
from tests.private_redis import private_redis
from tests.server import server_environment

START_SECONDS = 120.0
SETTLE_SECONDS = 150.0
PAGE = 500
# A crash of PostgreSQL must lose nothing that it has called committed; the disk itself is not put to the test.
POSTGRES_OPTIONS = {"synchronous_commit": "on"}
SERVER_VARIABLES = {"FLYTE_LEASE_CHECK_SECONDS": "1", "FLYTE_ACTION_LEASE_SECONDS": str(LEASE_SECONDS)}


class NotSettledError(AssertionError):
    """Something that had to happen did not, within a generous time."""


@dataclass(frozen=True)
class Settings:
    """`between` is the mean time from one fault to the next, `pace` that from one event of a sender to its next.

    `spared` are kinds of faults that are not done; `least` is how many events are sent though it takes longer.
    """

    seed: int
    seconds: float
    postgres: bool = False
    redis: bool = True
    servers: int = 2
    senders: int = 2
    between: float = 1.8
    pace: float = 0.4
    spared: frozenset[str] = frozenset()
    least: int = 10

    def kinds(self) -> frozenset[str]:
        """The faults that can be done."""
        absent = {"jobs"} if self.redis else {"worker", "beat", "Redis"}
        absent |= set() if self.postgres else {"PostgreSQL"}
        return frozenset(kind for kind in WEIGHTS if kind.rsplit(" ", 1)[0] not in absent) - self.spared


@dataclass
class Soak:
    """The processes of one soak. `urls` are those of its servers."""

    settings: Settings
    storm: Storm
    database_url: str
    urls: Sequence[str]
    unsettled: list[str] = field(default_factory=list)

    def run(self) -> Story:
        """Start all, let the storm rage, wait until nothing is left to do. `unsettled` has what did not come to that.

        Raises `NotSettledError` where not even the servers start.
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
        want(self.storm.servers)
        for url in self.urls:
            self.wait(lambda: healthy(url), f"{url} answers", START_SECONDS)  # noqa: B023 - waited for at once
        for flow in FLOWS:
            httpx.post(f"{self.urls[0]}/v1/flows", json=flow, timeout=START_SECONDS, trust_env=False).raise_for_status()
        want([*self.storm.packs, *self.storm.senders, *self.storm.others])

    def settle(self) -> None:
        """Let what was begun come to its end, with nobody harming it."""
        self.wait_or_note(
            lambda: count_accepted(self.storm.folder) >= self.settings.least, "enough events are accepted"
        )
        for other in self.storm.others:
            other.wanted = False
            other.kill()
        for sender in self.storm.senders:
            sender.wanted = False
            sender.signal(signal.SIGTERM)
        senders = self.storm.senders
        self.wait_or_note(lambda: not any(sender.runs for sender in senders), "the senders end what they began")
        self.wait_or_note(lambda: count_open(self.database_url) == 0, "no action and no execution is open")

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

    def stop(self, programs: Sequence[Program]) -> None:
        """As an operator does; notes where one does not end well."""
        for program in programs:
            program.wanted = False
        for program in programs:
            if program.runs and (code := program.stop()) != 0:
                self.unsettled.append(f"{program.name} ended with {code} when it was told to stop")


def want(programs: Sequence[Program]) -> None:
    for program in programs:
        program.wanted = True


@contextmanager
def prepared(settings: Settings, folder: Path) -> Iterator[Soak]:
    """A soak that can run, whose files all lie in `folder`; at the end of the block no process of it is left."""
    with ExitStack() as stack:
        stack.callback(kill_all, folder)
        postgres = stack.enter_context(private_postgres(POSTGRES_OPTIONS)) if settings.postgres else None
        redis = stack.enter_context(private_redis()) if settings.redis else None
        database_url = postgres.url if postgres else f"sqlite:///{folder / 'flyte.sqlite3'}"
        variables = {**SERVER_VARIABLES, "FLYTE_REDIS_URL": redis.url if redis else ""}
        environment = server_environment(database_url, variables) | {SEED_VARIABLE: str(settings.seed)}
        ports = [free_port() for _ in range(settings.servers)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        servers = [
            Program(f"server-{place}", ["manage.py", "run"], {**environment, "FLYTE_PORT": str(port)}, folder)
            for place, port in enumerate(ports, start=1)
        ]
        crowd = Crowd(folder, environment, urls)
        cancelling = str(max(settings.seconds / 20, 2))
        storm = Storm(
            folder,
            servers,
            crowd.packs(),
            [crowd.program(f"sender-{n}", "sender", str(n), str(settings.pace)) for n in range(settings.senders)],
            [crowd.program("canceller", "canceller", cancelling)],
            postgres,
            redis,
        )
        stack.callback(storm.end)
        yield Soak(settings, storm, database_url, urls)


@dataclass
class Crowd:
    """Makes the programs that talk to the servers, each with one of them, in turn."""

    folder: Path
    environment: Mapping[str, str]
    urls: Sequence[str]
    made: int = 0

    def program(self, name: str, module: str, *arguments: str, **variables: str) -> Program:
        url = self.urls[self.made % len(self.urls)]
        self.made += 1
        environment = {**self.environment, "FLYTE_API": url, **variables}
        return Program(name, ["-m", f"tests.faults.{module}", *arguments], environment, self.folder)

    def packs(self) -> list[Program]:
        return [
            self.program("alpha-1", "client_pack", ALPHA),
            self.program("alpha-2", "client_pack", ALPHA),
            self.program("beta-1", "client_pack", BETA, FLYTE_LABELS="env=soak"),
            self.program("plain-1", "plain_pack", PLAIN),
            self.program("plain-2", "plain_pack", PLAIN),
        ]


def count_accepted(folder: Path) -> int:
    """How many events were answered with 202 so far."""
    notes = (note for note in read_journals(folder) if note["kind"] == "event_answered")
    return len({note["key"] for note in notes if note["status"] == 202})


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def read_audit(url: str) -> Iterator[tuple[str, Any]]:
    """All executions as the audit shows them, by id."""
    with httpx.Client(base_url=url, timeout=START_SECONDS, trust_env=False) as http:
        path = f"/v1/audit/flows?limit={PAGE}"
        while path:
            answer = http.get(path).raise_for_status()
            yield from ((shown["correlationId"], shown) for shown in answer.json()["flows"])
            path = answer.links.get("next", {}).get("url", "")
