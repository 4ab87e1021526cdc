"""The Shell pack's leases with a real server: extended while its script runs, and lost after cancellation."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.jobs.processes import running, wait_for_health, wait_until
from tests.private_postgres import free_port
from tests.server import migrated_database, server_environment

from .program import Program
from .stub_server import PATIENCE

pytestmark = pytest.mark.acceptance

Api = httpx.Client


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Run a Shell pack, and a server that checks for expired leases every second."""
    folder, url = tmp_path_factory.mktemp("leases"), f"http://127.0.0.1:{(port := free_port())}"
    settings = {"FLYTE_PORT": str(port), "FLYTE_LEASE_CHECK_SECONDS": "1", "LOGLEVEL": "DEBUG"}
    with (
        migrated_database(folder) as database,
        running(folder, server_environment(database, settings), "run") as server,
    ):
        wait_for_health(url, server)
        with Api(base_url=url, timeout=PATIENCE, trust_env=False) as client, shell_pack(url) as pack:
            pack.wait_for_log("pack_registered")
            server.wait_for("job_done job=end_leases")
            assert client.post("/v1/packs", json={"name": "Src"}).status_code == 201
            yield client


@contextmanager
def shell_pack(url: str) -> Iterator[Program]:
    pack = Program("-m", "flyte_client.packs.shell", environment={"FLYTE_API": url})
    try:
        yield pack
    finally:
        pack.kill()


def begin(api: Api, flow: str, script: str, timeout: str) -> str:
    """Start an execution with one action for the script; return its address."""
    command = {"packName": "Shell", "name": "Shell", "input": script, "timeout": timeout}
    step = {"id": "run", "event": {"packName": "Src", "name": flow}, "command": command}
    assert api.post("/v1/flows", json={"name": flow, "steps": [step]}).status_code == 201
    assert api.post("/v1/packs/Src/events", json={"event": flow}).status_code == 202
    (document,) = api.get("/v1/audit/flows", params={"flowName": flow}).json()["flows"]
    return f"/v1/audit/flows/{document['correlationId']}"


def the_action(api: Api, execution: str) -> dict[str, Any]:
    (action,) = api.get(execution).json()["actions"].values()
    return dict(action)


def is_gone(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_script_that_runs_for_several_leases_succeeds_at_its_first_attempt(api: Api) -> None:
    execution = begin(api, "long", "sleep 8; echo done", timeout="3s")
    wait_until(lambda: the_action(api, execution)["state"]["value"] not in ("NEW", "PENDING"), lambda: execution)
    action = the_action(api, execution)
    assert (action["state"]["value"], action["result"]["payload"]["stdout"]) == ("SUCCESS", "done\n")
    assert [state["value"] for state in action["states"]] == ["NEW", "PENDING", "SUCCESS"]
    assert not action.get("history")


def test_a_cancelled_execution_ends_its_script_and_the_audit_shows_the_result(api: Api, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    execution = begin(api, "cancelled", f"echo begun; echo $$ >{pid}; exec sleep 600", timeout="6s")
    wait_until(lambda: pid.exists() and bool(pid.read_text()), lambda: str(pid))
    assert api.post(f"{execution}/cancel").status_code == 204
    wait_until(lambda: is_gone(pid.read_text().strip()), lambda: f"the end of {pid.read_text()}")
    wait_until(lambda: bool(the_action(api, execution).get("history")), lambda: "the late result")
    (late,) = the_action(api, execution)["history"]
    assert late["late"]
    assert late["result"]["payload"]["stderr"] == "[killed because its action was cancelled]\n"
