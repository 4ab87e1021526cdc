"""Requests within and outside the description of the API: no defect, and no response that it omits.

schemathesis makes the requests from the document that the server serves, the same ones in every run.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from flyte_site.auth.scopes import SCOPES
from tests import processes
from tests.schema.world import PACK, SampleIds, populate
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
# A long poll would only wait for its end.
SETTINGS = {"FLYTE_LONG_POLL_SECONDS": "0"}
ADMIN = tuple(SCOPES)
EDITOR = ("packs:read", "flows:read", "flows:write", "datastore:read", "datastore:write", "audit:read")
ALL = (*EDITOR, "packs:write", "executions:write")


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server without authentication."""
    with running_server(tmp_path_factory.mktemp("open"), SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that requires a token."""
    with running_server(tmp_path_factory.mktemp("guarded"), {**SETTINGS, "FLYTE_AUTH": "tokens"}) as server:
        yield server


def token(server: Server, name: str, *options: str) -> str:
    """Create a token by the command line."""
    done = manage("token", "create", name, *options, folder=server.log_path.parent, environment=server.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def scopes(*names: str) -> list[str]:
    return [f"--scope={name}" for name in names]


@pytest.fixture(scope="module")
def open_ids(open_server: Server) -> SampleIds:
    return populate(open_server)


@pytest.fixture(scope="module")
def guarded_ids(guarded_server: Server) -> SampleIds:
    return populate(guarded_server, token(guarded_server, "maker", f"--pack={PACK}", *scopes(*ALL)))


def test_requests_without_authentication(open_server: Server, open_ids: SampleIds, tmp_path: Path) -> None:
    request_everything(open_server, tmp_path)
    request_existing_objects(open_server, open_ids, tmp_path)


@pytest.mark.parametrize(
    "may",
    [[], [f"--pack={PACK}"], scopes(*EDITOR, "executions:write"), ["--pack=*", *scopes(*ADMIN)]],
    ids=["nobody", "pack", "editor", "admin"],
)
def test_requests_with_a_token(
    guarded_server: Server, guarded_ids: SampleIds, tmp_path: Path, may: list[str], request: pytest.FixtureRequest
) -> None:
    secret = token(guarded_server, request.node.name, *may) if may else ""
    request_existing_objects(guarded_server, guarded_ids, tmp_path, secret)


def request_everything(server: Server, folder: Path) -> None:
    """Request every operation, with names that schemathesis generates or has read in responses."""
    run_schemathesis(server, folder, "")


def request_existing_objects(server: Server, ids: SampleIds, folder: Path, secret: str = "") -> None:
    """Request existing objects; delete none of them."""
    parameters = "".join(f'"path.{name}" = "{value}"\n' for name, value in asdict(ids).items())
    headers = f'[headers]\nAuthorization = "Bearer {secret}"\n' if secret else ""
    run_schemathesis(
        server, folder, f"{headers}[parameters]\n{parameters}", "--exclude-method=DELETE", "--phases=coverage,fuzzing"
    )


def run_schemathesis(server: Server, folder: Path, configuration: str, *options: str) -> None:
    """Run schemathesis; fail with its findings, or if the server has logged an error."""
    file = folder / "schemathesis.toml"
    file.write_text(configuration)
    checks = [f"--checks={','.join(CHECKS)}", f"--max-examples={EXAMPLES}", "--generation-deterministic"]
    target = [f"--config-file={file}", "run", f"{server.url}/v1/swagger", f"--url={server.url}"]
    done = processes.run(
        [sys.executable, "-m", "schemathesis.cli", *target, "--continue-on-failure", "--no-color", *checks, *options],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert "level=error" not in server.logs()
