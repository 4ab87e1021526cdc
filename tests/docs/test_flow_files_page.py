"""The pages on flows in files and on moving from the Go server: their commands, run as they are printed."""

import re
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import blocks
from tests.docs.running import run_printed
from tests.flows import mongo_dump as o
from tests.programs import needs
from tests.server import ROOT, StartServer

pytestmark = pytest.mark.acceptance

FILES = ROOT / "docs" / "how-to" / "keep-flows-in-files.md"
MOVING = ROOT / "docs" / "how-to" / "move-from-the-go-server.md"


def commands(page: Path) -> list[str]:
    """Return the lines of the page after a prompt."""
    return [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]


def test_flows_in_files_are_applied_as_the_page_says(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    (tmp_path / "my-flows").mkdir()
    (tmp_path / "my-flows" / "date.yaml").write_bytes((ROOT / "examples" / "quickstart.yaml").read_bytes())
    lines = [line for line in commands(FILES) if not line.startswith("export ")]
    advised = re.findall(r"`(flyte flows \w+ my-flows[^`]*)`", FILES.read_text())
    commit = {"COMMIT": "4f1c0de"}
    codes = {line: run_printed(line, tmp_path, server, commit).returncode for line in [*lines, *advised]}
    # The quickstart's packs are not registered, which is a warning.
    expected = {
        ".venv/bin/python manage.py flows diff my-flows": 1,
        "flyte flows validate my-flows --strict": 1,
    }
    assert {line: code for line, code in codes.items() if code} == expected, codes
    assert len(codes) == len(lines) + len(advised)
    assert len(advised) == 3
    assert not (ROOT / "my-flows").exists()


def test_export_rejects_a_folder_of_the_server(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    before = sorted((ROOT / "flows").iterdir())
    for program in (".venv/bin/python manage.py", "flyte"):
        done = run_printed(f"{program} flows export {ROOT}/flows", tmp_path, server)
        assert done.returncode == 2
        assert "is a Python package" in done.stderr
    assert sorted((ROOT / "flows").iterdir()) == before


def test_a_dump_is_imported_and_templates_are_tried_as_the_page_says(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    o.write(tmp_path / "dump" / "flyte", {"datastore": [o.item("k", b"1")], "pack": [o.pack("Src")]}, zipped=True)
    (tmp_path / "cases.jsonl").write_text("".join(blocks(MOVING, "json")))
    (tmp_path / "event.json").write_text('{"event": "E", "payload": {"message": "hi"}}')
    dump, *lines = commands(MOVING)
    assert dump.startswith("mongodump ")
    tried = [line for block in blocks(MOVING, "sh") for line in block.splitlines() if "try_template" in line]
    outputs = []
    for line in [*lines, *tried]:
        done = run_printed(line, tmp_path, server)
        assert done.returncode == 0, (line, done.stderr)
        outputs.append(done.stdout)
    assert "nothing was written" in outputs[0]
    assert "1 new" in outputs[1]
    assert outputs[2:] == ["HI\n", '{"ok": "6"}\n']


def test_flows_and_items_are_copied_over_http_as_the_page_says(start_server: StartServer, tmp_path: Path) -> None:
    needs("curl", "jq")
    old, new = start_server(), start_server()
    step = {"event": {"packName": "P", "name": "E"}, "command": {"packName": "P", "name": "C"}}
    flow = {"name": "a/b c", "steps": [step]}
    value = {"value": ("v.json", b'{"a": 1}', "application/json")}
    with httpx.Client(trust_env=False) as http:
        assert http.post(f"{old.url}/v1/flows", json=flow).status_code == 201
        assert http.put(f"{old.url}/v1/datastore/k", files=value).is_success
        for block in blocks(MOVING, "sh"):
            if "http://old:8080" in block:
                script = block.replace("http://old:8080", old.url).replace("/tmp/", f"{tmp_path}/")
                done = run_printed(script, tmp_path, new)
                assert done.returncode == 0, done.stderr
        copied = http.get(f"{new.url}/v1/flows/a%2Fb%20c").json()
        item = http.get(f"{new.url}/v1/datastore/k")
    assert copied["steps"][0]["event"] == step["event"]
    assert (item.content, item.headers["content-type"]) == (b'{"a": 1}', "application/json")
