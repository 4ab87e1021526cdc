"""The pages of the project, and their runnable blocks."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from tests.server import ROOT, Server

PATIENCE = 60.0


def pages() -> list[Path]:
    """Return every page of the project."""
    folders = (ROOT / "docs", ROOT / "flyte_client")
    pages_in_folders = [page for folder in folders for page in sorted(folder.rglob("*.md"))]
    pages_in_root = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
    return [*pages_in_root, ROOT / "examples" / "README.md", *pages_in_folders]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def at(server: Server, command: str) -> str:
    """Return a printed command with the address of this server."""
    return command.replace("http://localhost:8080", server.url)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met, or fail after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert result
