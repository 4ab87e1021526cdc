"""Whatever is asked of the server, within its description and beside it: no defect, and no answer that it leaves out.

schemathesis makes the requests from the document that the server serves: the same ones in every run.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests import processes
from tests.schema.world import PACK, World, populated
from tests.server import Server, running_server
from tests.site.processes import manage

pytestmark = [pytest.mark.acceptance, pytest.mark.schema]

SECONDS = 240.0
EXAMPLES = 10
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
)
# A poll that waits would wait for nothing.
SETTINGS = {"FLYTE_LONG_POLL_SECONDS": "0"}
EDITOR = ("packs:read", "flows:read", "flows:write", "datastore:read", "datastore:write", "audit:read")
ALL = (*EDITOR, "packs:write", "executions:write")


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It asks nobody who they are."""
    with running_server(tmp_path_factory.mktemp("open"), SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It asks everybody for a token."""
    with running_server(tmp_path_factory.mktemp("guarded"), {**SETTINGS, "FLYTE_AUTH": "tokens"}) as server:
        yield server


def token(server: Server, name: str, *may: str) -> str:
    """A new token, made as an operator makes it."""
    done = manage("token", "create", name, *may, folder=server.log_path.parent, environment=server.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def scopes(*names: str) -> list[str]:
    return [f"--scope={name}" for name in names]


@pytest.fixture(scope="module")
def world_of_all(open_server: Server) -> World:
    return populated(open_server)


@pytest.fixture(scope="module")
def guarded_world(guarded_server: Server) -> World:
    return populated(guarded_server, token(guarded_server, "maker", f"--pack={PACK}", *scopes(*ALL)))


def test_anybody_on_an_open_server(open_server: Server, world_of_all: World, tmp_path: Path) -> None:
    ask_at_random(open_server, tmp_path)
    ask_of_what_is_there(open_server, world_of_all, tmp_path)


@pytest.mark.parametrize(
    "may", [[], [f"--pack={PACK}"], scopes(*EDITOR, "executions:write")], ids=["nobody", "pack", "editor"]
)
def test_who_has_a_token(
    guarded_server: Server, guarded_world: World, tmp_path: Path, may: list[str], request: pytest.FixtureRequest
) -> None:
    secret = token(guarded_server, request.node.name, *may) if may else ""
    ask_of_what_is_there(guarded_server, guarded_world, tmp_path, secret)


def ask_at_random(server: Server, folder: Path) -> None:
    """Requests of every operation, with names that schemathesis makes up or has found in answers."""
    ask(server, folder, "")


def ask_of_what_is_there(server: Server, world: World, folder: Path, secret: str = "") -> None:
    """Requests about things that there are; none is deleted, so that they stay."""
    places = "".join(f'"path.{name}" = "{value}"\n' for name, value in asdict(world).items())
    headers = f'[headers]\nAuthorization = "Bearer {secret}"\n' if secret else ""
    ask(server, folder, f"{headers}[parameters]\n{places}", "--exclude-method=DELETE", "--phases=coverage,fuzzing")


def ask(server: Server, folder: Path, configuration: str, *options: str) -> None:
    """Lets schemathesis ask; fails with what it found, and where the server's log tells of a defect."""
    file = folder / "schemathesis.toml"
    file.write_text(configuration)
    checks = [f"--checks={','.join(CHECKS)}", f"--max-examples={EXAMPLES}", "--generation-deterministic"]
    place = [f"--config-file={file}", "run", f"{server.url}/v1/swagger", f"--url={server.url}"]
    done = processes.run(
        [sys.executable, "-m", "schemathesis.cli", *place, "--continue-on-failure", "--no-color", *checks, *options],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "level=error" not in server.logs()
