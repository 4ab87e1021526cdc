"""The page on the protocol: its blocks, run in order in a shell, return the output that is printed below them."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests import processes
from tests.docs.pages import at, blocks, wait_for
from tests.docs.running import running
from tests.programs import needs
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "how-to" / "write-a-pack-in-another-language.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
END = "\x1e"
SECONDS = 120


def answers(server: Server, folder: Path) -> list[str]:
    """Return the output of each `sh` block of the page."""
    script = "".join(f"{block}\nprintf '{END}'\n" for block in blocks(PAGE, "sh"))
    done = processes.run(
        ["bash", "-euo", "pipefail", "-c", at(server, script)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [answer.replace(server.url, "http://localhost:8080").lstrip() for answer in done.stdout.split(END)[:-1]]


def printed() -> list[str]:
    """Return the output that is printed below each `sh` block, or '' if the next block has another language."""
    all_blocks = BLOCK.findall(PAGE.read_text())
    following = [*all_blocks[1:], ("sh", "")]
    return [
        "" if kind in ("sh", "bash") else text
        for (language, _), (kind, text) in zip(all_blocks, following, strict=True)
        if language == "sh"
    ]


def masked(text: str) -> str:
    """Replace ids and times, which differ from run to run."""
    plain = re.sub(r"\b[0-9a-f]{24}\b", "ID", text.replace("\r", ""))
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", plain)


def test_each_block_returns_the_printed_output(start_server: StartServer, tmp_path: Path) -> None:
    needs("curl", "jq")
    actual = [masked(answer) for answer in answers(start_server(), tmp_path)]
    documented = [masked(text) for text in printed()]
    assert [answer for answer, text in zip(actual, documented, strict=True) if text] == [
        text for text in documented if text
    ]


def test_every_json_block_can_be_parsed() -> None:
    for text in blocks(PAGE, "json"):
        assert all(json.loads(line) for line in text.splitlines()) if text.startswith('{"') else json.loads(text)


def test_the_pack_in_shell_works(start_server: StartServer, tmp_path: Path) -> None:
    needs("curl", "jq")
    server = start_server()
    (script,) = blocks(PAGE, "bash")
    command = {"packName": "Shouter", "name": "Shout", "input": "{{ Event.Payload }}"}
    flow = {"name": "shout", "steps": [{"event": {"packName": "Src", "name": "Go"}, "command": command}]}
    with httpx.Client(base_url=server.url) as client, running(["bash", "-c", at(server, script)], tmp_path):
        assert client.post("/v1/packs", json={"name": "Src"}).status_code == 201
        assert client.post("/v1/flows", json=flow).status_code == 201
        assert client.post("/v1/packs/Src/events", json={"event": "Go", "payload": "hello"}).status_code == 202
        wait_for(lambda: '"HELLO"' in client.get("/v1/audit/flows?flowName=shout").text)
