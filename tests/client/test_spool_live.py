"""Server and pack are killed while twenty commands run: each result counts once."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.jobs.processes import Running, running, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.server import migrated_database, server_environment

from .program import Program
from .stub_server import PATIENCE

pytestmark = pytest.mark.acceptance

COUNT = 20
PACK = """
import pathlib, sys, time
from flyte_client import Event, Pack, run

folder = pathlib.Path(sys.argv[1])
pack = Pack("Worker", concurrency=20)

@pack.command("Work", events=["Worked"])
def work(given):
    (folder / "begun").open("a").write(given + "\\n")
    while not (folder / "go").exists():
        time.sleep(0.05)
    return Event("Worked", given)

sys.exit(run(pack))
"""


@dataclass
class Site:
    """The server's database and port, and the pack's folder, which outlive the processes."""

    folder: Path
    database: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def begun(self) -> list[str]:
        """Return the inputs of the handler's calls in order."""
        journal = self.folder / "begun"
        return journal.read_text().split() if journal.exists() else []

    @property
    def parcels(self) -> list[Path]:
        return sorted((self.folder / "spool" / "Worker").glob("*.parcel"))

    @contextmanager
    def server(self) -> Iterator[Running]:
        environment = server_environment(self.database, {"FLYTE_PORT": str(self.port)})
        with running(self.folder, environment, "run") as server:
            wait_for_health(self.url, server)
            yield server

    @contextmanager
    def pack(self) -> Iterator[Program]:
        (self.folder / "worker.py").write_text(PACK)
        environment = {"FLYTE_API": self.url, "FLYTE_SPOOL": str(self.folder / "spool"), "PYTHONPATH": "."}
        pack = Program(str(self.folder / "worker.py"), str(self.folder), environment=environment)
        try:
            yield pack
        finally:
            pack.kill()

    def states(self) -> list[str]:
        """Return the states of all actions for the pack."""
        answer = httpx.get(f"{self.url}/v1/audit/flows", timeout=PATIENCE, trust_env=False).json()
        return [flow["actions"]["work"]["state"]["value"] for flow in answer["flows"]]

    def post(self, path: str, document: object = None) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=document, timeout=PATIENCE, trust_env=False)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with migrated_database(tmp_path) as database:
        yield Site(tmp_path, database, free_port())


def kill(server: Running) -> None:
    os.killpg(server.process.pid, signal.SIGKILL)
    wait_until(lambda: not server.members(), lambda: f"the end of {server.members()}")


def begin(site: Site) -> None:
    """Start twenty executions, each with an action for the pack, whose result starts an action for a sink."""
    work = {"packName": "Worker", "name": "Work", "input": "{{ Event.Payload }}"}
    sink = {"packName": "Sink", "name": "Take", "input": "{{ Event.Payload }}"}
    steps = [
        {"id": "work", "event": {"packName": "Src", "name": "Go"}, "command": work},
        {"id": "sink", "dependsOn": ["work"], "event": {"packName": "Worker", "name": "Worked"}, "command": sink},
    ]
    for name in ("Src", "Sink"):
        assert site.post("/v1/packs", {"name": name}).status_code == 201
    assert site.post("/v1/flows", {"name": "twenty", "steps": steps}).status_code == 201
    for number in range(COUNT):
        assert site.post("/v1/packs/Src/events", {"event": "Go", "payload": f"n{number}"}).status_code == 202


def test_each_result_counts_once_whichever_process_is_killed(site: Site) -> None:
    with site.pack() as pack:
        with site.server() as server:
            begin(site)
            wait_until(lambda: len(site.begun) == COUNT, lambda: "".join(pack.log))
            kill(server)
        (site.folder / "go").touch()
        wait_until(lambda: len(site.parcels) == COUNT, lambda: "".join(pack.log))
        pack.kill()
    copies = [Path(shutil.copy(parcel, site.folder / parcel.name)) for parcel in site.parcels]
    with site.pack() as pack, site.server() as server:
        wait_until(lambda: len(site.parcels) < COUNT, lambda: "".join(pack.log))
        pack.kill()
        kill(server)
    with site.server(), site.pack() as pack:
        wait_until(lambda: site.states() == ["SUCCESS"] * COUNT, lambda: f"{site.states()} {''.join(pack.log)}")
        wait_until(lambda: not site.parcels, lambda: str(site.parcels))
        pack.signal()
        assert pack.exit_code() == 0
        for copy in copies:  # as if the pack had been killed before it deleted the delivered messages
            shutil.copy(copy, site.folder / "spool" / "Worker")
        with site.pack():
            wait_until(lambda: not site.parcels, lambda: str(site.parcels))
        takes = [site.post("/v1/packs/Sink/actions/take") for _ in range(COUNT + 1)]
    assert sorted(action.json()["input"] for action in takes[:-1]) == sorted(f"n{number}" for number in range(COUNT))
    assert takes[-1].status_code == 204
    assert len(site.begun) == COUNT, "a handler was called twice"
