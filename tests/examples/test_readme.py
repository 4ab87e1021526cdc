"""The README of the examples: its commands are run."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests import processes
from tests.programs import needs
from tests.server import ROOT, Server

from .world import FLOWS, MEDIA_TYPES, ExampleClient, flow_files, read, states

pytestmark = pytest.mark.acceptance

README = ROOT / "examples" / "README.md"
ADDRESS = "http://localhost:8080"
SECONDS = 60
# Error responses and failed connections end the script; a failed test shows the responses.
STRICT_CURL = 'set -eu\ncurl() { command curl --noproxy "*" --silent --show-error --fail-with-body "$@" || exit 1; }\n'


@dataclass(frozen=True)
class Section:
    """A heading of the page, the shell commands under it, and the flow file of that name, if there is one."""

    heading: str
    commands: str

    @property
    def file(self) -> str:
        return self.heading if (FLOWS / self.heading).is_file() else ""


@cache
def sections() -> list[Section]:
    parts = re.split(r"^## (.+)$", README.read_text(), flags=re.MULTILINE)[1:]
    blocks = [re.findall(r"^```sh\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL) for body in parts[1::2]]
    return [Section(heading, "\n".join(commands)) for heading, commands in zip(parts[::2], blocks, strict=True)]


def introduction() -> str:
    return "\n".join(section.commands for section in sections() if not section.file)


def section_of(file: str) -> Section:
    return next(section for section in sections() if section.heading == file)


def test_there_is_a_section_for_every_flow() -> None:
    assert sorted(section.file for section in sections() if section.file) == [path.name for path in flow_files()]


def test_the_curl_lines_name_files_that_exist() -> None:
    named = re.findall(r"(?:-T |=@)([^\s';]+)", README.read_text())
    assert len(named) >= len(flow_files())
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", flow_files(), ids=lambda path: path.name)
def test_each_flow_is_loaded_by_a_curl_line_with_its_media_type(path: Path) -> None:
    kind = MEDIA_TYPES[path.suffix]
    line = f"curl -X POST {ADDRESS}/v1/flows -H 'content-type: {kind}' -T examples/flows/{path.name}\n"
    assert line in section_of(path.name).commands


@pytest.mark.parametrize("path", flow_files(), ids=lambda path: path.name)
def test_the_commands_of_the_page_run_the_flow_to_its_end(
    world: ExampleClient, examples_server: Server, path: Path
) -> None:
    needs("curl")
    script = f"{STRICT_CURL}{introduction()}\n{section_of(path.name).commands}".replace(ADDRESS, examples_server.url)
    done = processes.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    executions = world.executions()
    assert {execution["name"] for execution in executions} == {read(path)["name"]}
    for execution in executions:
        assert set(states(execution).values()) == {"SUCCESS"}, done.stdout


def test_the_links_of_the_page_lead_to_files() -> None:
    targets = re.findall(r"\]\(([^)#]+)", README.read_text())
    assert targets
    assert [target for target in targets if not (README.parent / target).exists()] == []
