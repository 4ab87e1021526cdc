"""The page on writing a pack: its program runs, and its curl lines work."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from flyte_client import settings
from tests import processes
from tests.client.wheel import build_wheel, install
from tests.docs.pages import PATIENCE, at, blocks, wait_for
from tests.docs.running import running
from tests.programs import needs
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "how-to" / "write-a-pack.md"


def block(language: str, words: str) -> str:
    """Return the page's only block of the language that contains these words."""
    (matching_block,) = (text for text in blocks(PAGE, language) if words in text)
    return matching_block


@contextmanager
def program(words: str, folder: Path, server: Server) -> Iterator[None]:
    """Run a program of the page in `folder`, which is also the first folder of its PATH."""
    (folder / "pack.py").write_text(block("python", words))
    path = f"{folder}:{os.environ['PATH']}"
    environment = {**os.environ, "FLYTE_API": server.url, "PYTHONPATH": str(ROOT), "PATH": path}
    with running([sys.executable, "pack.py"], folder, environment) as process:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_the_pack_on_the_page_sends_events_for_files_and_writes_files(
    start_server: StartServer, tmp_path: Path
) -> None:
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
    with httpx.Client(base_url=server.url) as client, program('Pack("Folder")', tmp_path, server):
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
    with httpx.Client(base_url=server.url) as client, program('Pack("Backup")', tmp_path, server):
        assert client.post("/v1/packs", json={"name": "Src"}).status_code == 201
        assert client.post("/v1/flows", json=flow).status_code == 201
        assert client.post("/v1/packs/Src/events", json={"event": "Go"}).status_code == 202
        wait_for((tmp_path / "begun").exists)
        (document,) = client.get("/v1/audit/flows").json()["flows"]
        execution = f"/v1/audit/flows/{document['correlationId']}"
        assert client.post(f"{execution}/cancel").status_code == 204
        wait_for(lambda: "history" in client.get(execution).json()["actions"]["step-1"])
        (late,) = client.get(execution).json()["actions"]["step-1"]["history"]
    assert (late["result"]["event"], late["result"]["payload"]) == ("BackupStopped", {"at": "a"})


def test_the_first_pack_is_written_tested_and_greets(start_server: StartServer, tmp_path: Path) -> None:
    needs("curl")
    server = start_server()
    install(build_wheel(tmp_path / "wheel"), tmp_path / "venv", "httpx", "pytest")
    for step in ("python3.11 -m venv venv\n", "pip install /path/to/flyte/flyte_client pytest\n"):
        assert step in block("sh", "flyte-pack new")  # done by `install` above, without the network
    written = re.sub(r"(python3.11|pip) .*\n", "", block("sh", "flyte-pack new"))
    requests = "".join(block("sh", words) for words in ('"name": "greet"', '"who": "Ann"'))
    left_out = ("PYTEST", "DJANGO", "PYTHON", "FLYTE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    with (
        httpx.Client(base_url=server.url) as client,
        running(["bash", "-ec", at(server, written)], tmp_path, environment),
    ):
        wait_for(lambda: bool(client.get("/v1/packs").json()["packs"]))
        assert (tmp_path / "greeter" / "Dockerfile").exists()
        processes.run(["bash", "-ec", at(server, requests)], check=True, capture_output=True, timeout=PATIENCE)
        query = ["bash", "-ec", at(server, block("sh", "flowName=greet"))]
        wait_for(lambda: "text: Hello Ann!" in processes.run(query, capture_output=True, text=True, check=True).stdout)


def test_the_test_on_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "folder_pack.py").write_text(block("python", 'Pack("Folder")'))
    (tmp_path / "test_folder_pack.py").write_text(block("python", "PackTester"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    pytest_command = [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = processes.run(pytest_command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout


def test_the_page_names_each_variable_of_the_library() -> None:
    named = set(re.findall(r"FLYTE_[A-Z_]+", PAGE.read_text()))
    assert set(re.findall(r"FLYTE_[A-Z_]+", str(settings.__doc__))) - named == set()
