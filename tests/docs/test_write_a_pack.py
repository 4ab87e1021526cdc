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
def folder_pack(folder: Path, server: Server) -> Iterator[None]:
    (folder / "folder_pack.py").write_text(blocks(PAGE, "python")[0])
    environment = {**os.environ, "FLYTE_API": server.url, "FLYTE_POLL_INTERVAL": "0.1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "folder_pack.py"], cwd=folder, env=environment)
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
    with httpx.Client(base_url=server.url) as client, folder_pack(tmp_path, server):
        wait_for(lambda: bool(client.get("/v1/packs").json()["packs"]))
        assert client.post("/v1/flows", json=flow).headers.get("X-Flyte-Warning") is None
        (tmp_path / "inbox" / "a").write_text("")
        wait_for((tmp_path / "inbox" / "copy of a").exists)


def test_the_curl_lines_on_the_page_work(start_server: StartServer) -> None:
    needs("curl")
    server = start_server()
    for line in (block for block in blocks(PAGE, "sh") if block.startswith("curl")):
        command = at(server, line).replace("curl ", "curl --fail --silent ", 1)
        assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 0, line
