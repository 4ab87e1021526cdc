"""The pages: their links have targets, and the README's first flow runs as it is printed."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests import processes
from tests.docs.pages import PATIENCE, at, blocks, pages, wait_for
from tests.programs import needs
from tests.server import ROOT, StartServer

README = ROOT / "README.md"


LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


@pytest.mark.unit
@pytest.mark.parametrize(
    "page", [page for page in pages() if LINK.search(page.read_text())], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_between_pages_lead_to_a_file_and_a_heading(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        file, _, heading = target.partition("#")
        target_page = (page.parent / file).resolve() if file else page
        assert target_page.exists(), target
        assert not heading or heading in headings(target_page), target


def headings(page: Path) -> set[str]:
    lines = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.unit
def test_the_readme_begins_with_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in blocks(README, "sh")[0].splitlines()] == ["make run", "make test"]


@pytest.mark.unit
def test_the_flow_in_the_readme_is_the_quickstarts() -> None:
    assert blocks(README, "yaml") == [(ROOT / "examples" / "quickstart.yaml").read_text()]


@pytest.mark.unit
def test_the_readme_is_short_and_its_pictures_are_small() -> None:
    assert len(README.read_text().splitlines()) <= 120
    pictures = re.findall(r"\((docs/[\w-]+\.png)\)", README.read_text())
    assert len(pictures) == 2
    assert all((ROOT / picture).stat().st_size < 150 * 1024 for picture in pictures)


@contextmanager
def program(command: str, log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    process = processes.start(
        ["bash", "-c", f"exec env {command}"],
        cwd=ROOT,
        env={**os.environ, "FLYTE_POLL_INTERVAL": "0.1"},
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.mark.acceptance
def test_the_readmes_first_flow_runs_as_it_is_printed(start_server: StartServer, tmp_path: Path) -> None:
    needs("curl")
    server = start_server()
    lines = [at(server, block.strip()) for block in blocks(README, "sh")]
    shell, console = (line for line in lines if "flyte_client.packs" in line)
    save, *queries = (line for line in lines if line.startswith("curl"))
    output = tmp_path / "console"
    with output.open("wb") as log, program(shell, log), program(console, log) as typing:
        wait_for(lambda: output.read_bytes().count(b"pack_registered") == 2)
        assert "201" in run(f"{save} --silent --output /dev/null --write-out '%{{http_code}}'")
        type_line(typing, "flyte time")
        type_line(typing, "flyte date")
        wait_for(lambda: b"[console] Hey" in output.read_bytes())
        wait_for(lambda: has_succeeded(queries[0]))
    assert "criteria are false" in run(queries[1])


def has_succeeded(command: str) -> bool:
    return run(command).count("value: SUCCESS") == 4


def run(command: str) -> str:
    return processes.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def type_line(process: "subprocess.Popen[bytes]", line: str) -> None:
    assert process.stdin
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
