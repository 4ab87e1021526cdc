"""The page on writing a pack: its program runs, and its curl lines work."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import PATIENCE, at, blocks, wait_for
from tests.programs import needs
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "how-to" / "write-a-pack.md"


@contextmanager
def program(number: int, folder: Path, server: Server) -> Iterator[None]:
    """Runs a program of the page in `folder`, where it also looks for other programs first."""
    (folder / "pack.py").write_text(blocks(PAGE, "python")[number])
    path = f"{folder}:{os.environ['PATH']}"
    environment = {**os.environ, "FLYTE_API": server.url, "PYTHONPATH": str(ROOT), "PATH": path}
    process = subprocess.Popen([sys.executable, "pack.py"], cwd=folder, env=environment)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_the_pack_on_the_page_tells_of_files_and_writes_them(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    flow = {
        "name": "copy",
        "steps": [
            {
                "event": {"packName": "Folder", "name": "FileAppeared"},
                "criteria": "{{ Event.Payload.name == 'a' }}",
                "command": {
                    "packName": "Folder",
                    "name": "WriteFile",
                    "input": {"name": "copy of {{ Event.Payload.name }}", "text": "seen"},
                },
            }
        ],
    }
    with httpx.Client(base_url=server.url) as client, program(0, tmp_path, server):
        wait_for(lambda: bool(client.get("/v1/packs").json()["packs"]))
        assert client.post("/v1/flows", json=flow).headers.get("X-Flyte-Warning") is None
        (tmp_path / "inbox" / "a").write_text("")
        wait_for((tmp_path / "inbox" / "copy of a").exists)


def test_the_long_work_on_the_page_stops_when_it_is_cancelled(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server({"FLYTE_ACTION_LEASE_SECONDS": "3"})
    (tmp_path / "tar").write_text("#!/bin/sh\ntouch begun\nexec sleep 600\n")
    (tmp_path / "tar").chmod(0o755)
    command = {"packName": "Backup", "name": "Backup", "input": {"folders": ["a", "b"]}}
    flow = {"name": "nightly", "steps": [{"event": {"packName": "Src", "name": "Go"}, "command": command}]}
    with httpx.Client(base_url=server.url) as client, program(1, tmp_path, server):
        assert client.post("/v1/packs", json={"name": "Src"}).status_code == 201
        assert client.post("/v1/flows", json=flow).status_code == 201
        assert client.post("/v1/packs/Src/events", json={"event": "Go"}).status_code == 202
        wait_for((tmp_path / "begun").exists)
        (found,) = client.get("/v1/audit/flows").json()["flows"]
        execution = f"/v1/audit/flows/{found['correlationId']}"
        assert client.post(f"{execution}/cancel").status_code == 204
        wait_for(lambda: "history" in client.get(execution).json()["actions"]["step-1"])
        (late,) = client.get(execution).json()["actions"]["step-1"]["history"]
    assert (late["result"]["event"], late["result"]["payload"]) == ("BackupStopped", {"at": "a"})


def test_the_curl_lines_on_the_page_work(start_server: StartServer) -> None:
    needs("curl")
    server = start_server()
    for line in (block for block in blocks(PAGE, "sh") if block.startswith("curl")):
        command = at(server, line).replace("curl ", "curl --fail --silent ", 1)
        assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 0, line
