"""Flows as files: what stands in a folder, and how what a server has is written into one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flyte_client.errors import FlyteError

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 10_000
MAX_BYTES = 4 * 1024 * 1024
# A line that begins so ends a YAML document wherever it stands, in a block of text too (YAML 1.2, rule c-forbidden).
_MARK = re.compile(r"(---|\.\.\.)(?=[ \t]|$)")


class FilesError(FlyteError):
    """The files can't be read or written; the text is one line and says which."""


@dataclass(frozen=True)
class Written:
    """A flow's text as it stands in a file; `line` is where it begins, from 1."""

    path: Path
    line: int
    text: str

    def at(self, line: int, column: int) -> str:
        """A place in the text as people find it: `flows/date.yaml:12:5`."""
        return f"{self.path}:{self.line + max(line, 1) - 1}:{max(column, 1)}"


def read_flows(place: Path) -> list[Written]:
    """The flows in a file, or in all files of a folder and those below it, in the order of their names.

    Raises `FilesError` where there is nothing to read, or something that can't be.
    """
    found = [written for path in _files(place) for written in _documents(path)]
    if not found:
        raise FilesError(f"{place}: no flows are there; they are looked for in {', '.join(SUFFIXES)}")
    return found


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise FilesError(f"{place}: there is no such file or folder")
    found = []
    for path in sorted(place.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(place).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            found.append(path)
        if len(found) > MAX_FILES:
            raise FilesError(f"{place}: more than {MAX_FILES:,} files are there")
    return found


def _documents(path: Path) -> Iterator[Written]:
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise FilesError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FilesError(f"{path}: is not text in UTF-8") from None
    if len(data) > MAX_BYTES:
        raise FilesError(f"{path}: has more than {MAX_BYTES:,} bytes")
    parts = [(1, text)] if text.lstrip().startswith("{") else split(text)
    yield from (Written(path, line, part) for line, part in parts)


def split(text: str) -> list[tuple[int, str]]:
    """The documents of a YAML text, each with the line that it begins at; those with nothing in them are left out."""
    parts: list[tuple[int, list[str]]] = [(1, [])]
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        mark = _MARK.match(line.rstrip("\r\n"))
        if mark:
            rest = "   " + line[3:] if mark[1] == "---" else ""
            parts.append((number, [rest]) if _says(rest) else (number + 1, []))
        else:
            parts[-1][1].append(line)
    return [(line, "".join(lines)) for line, lines in parts if any(map(_says, lines))]


def _says(line: str) -> bool:
    """Whether there is more in a line than a comment or a directive."""
    return bool(line.strip()) and not line.lstrip().startswith(("#", "%"))


def file_name(name: str, text: str) -> str:
    """The file that a flow of this name is written to; what can't stand in a file's name is percent-encoded."""
    safe = quote(name, safe=" !()+,-=@[]{}~")
    safe = f"%2E{safe[1:]}" if safe.startswith(".") else safe
    return f"{safe[:200]}{'.json' if text.lstrip().startswith('{') else '.yaml'}"


def check_target(folder: Path) -> None:
    """Raise `FilesError` if the folder is a Python package: exported flows do not belong among its modules."""
    if (folder / "__init__.py").exists():
        raise FilesError(f"{folder}: is a Python package (it contains __init__.py); choose a different folder")


def write_flow(folder: Path, name: str, text: str) -> bool:
    """Write a flow into the folder; False where it stands there already as it is. Raises `FilesError`."""
    path = folder / file_name(name, text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FilesError(f"{path}: {error.strerror}") from None
    return True
