"""The project's pages, and what in them can be run."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.server import ROOT, Server

PATIENCE = 60.0


def pages() -> list[Path]:
    """Every page of the project."""
    folders = (ROOT / "docs", ROOT / "flyte_client")
    found = [page for folder in folders for page in sorted(folder.rglob("*.md"))]
    own = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
    return [*own, ROOT / "examples" / "README.md", *found]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def at(server: Server, command: str) -> str:
    """A command as it is printed, but for the server's address."""
    return command.replace("http://localhost:8080", server.url)


def wait_for(what: Callable[[], bool]) -> None:
    """Waits until it is so, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not (result := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert result
