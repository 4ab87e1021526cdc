"""Flows as files: what stands in a folder, and how what a server has is written into one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flow_files.errors import FlowFilesError

FILE_SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 10_000
MAX_FILE_BYTES = 4 * 1024 * 1024
# A line that begins so ends a YAML document wherever it stands, in a block of text too (YAML 1.2, rule c-forbidden).
_DOCUMENT_MARKER = re.compile(r"(---|\.\.\.)(?=[ \t]|$)")


@dataclass(frozen=True)
class FlowSource:
    """A flow's text as it stands in a file; `line` is where it begins, from 1."""

    path: Path
    line: int
    text: str

    def format_location(self, line: int, column: int) -> str:
        """A place in the text as people find it: `flows/date.yaml:12:5`."""
        return f"{self.path}:{self.line + max(line, 1) - 1}:{max(column, 1)}"


def read_flows(root: Path) -> list[FlowSource]:
    """The flows in a file, or in all files of a folder and those below it, in the order of their names.

    Raises `FilesError` where there is nothing to read, or something that can't be.
    """
    sources = [source for path in _find_files(root) for source in _read_documents(path)]
    if not sources:
        raise FlowFilesError(f"{root}: no flows are there; they are looked for in {', '.join(FILE_SUFFIXES)}")
    return sources


def _find_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FlowFilesError(f"{root}: there is no such file or folder")
    paths = []
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in FILE_SUFFIXES and not hidden and path.is_file():
            paths.append(path)
        if len(paths) > MAX_FILES:
            raise FlowFilesError(f"{root}: more than {MAX_FILES:,} files are there")
    return paths


def _read_documents(path: Path) -> Iterator[FlowSource]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise FlowFilesError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FlowFilesError(f"{path}: is not text in UTF-8") from None
    if len(data) > MAX_FILE_BYTES:
        raise FlowFilesError(f"{path}: has more than {MAX_FILE_BYTES:,} bytes")
    parts = [(1, text)] if text.lstrip().startswith("{") else split_documents(text)
    yield from (FlowSource(path, line, part) for line, part in parts)


def split_documents(text: str) -> list[tuple[int, str]]:
    """The documents of a YAML text, each with the line that it begins at; those with nothing in them are left out."""
    parts: list[tuple[int, list[str]]] = [(1, [])]
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        marker = _DOCUMENT_MARKER.match(line.rstrip("\r\n"))
        if marker:
            rest = "   " + line[3:] if marker[1] == "---" else ""
            parts.append((number, [rest]) if _has_content(rest) else (number + 1, []))
        else:
            parts[-1][1].append(line)
    return [(line, "".join(lines)) for line, lines in parts if any(map(_has_content, lines))]


def _has_content(line: str) -> bool:
    """Whether there is more in a line than a comment or a directive."""
    return bool(line.strip()) and not line.lstrip().startswith(("#", "%"))


def flow_file_name(name: str, text: str) -> str:
    """The file that a flow of this name is written to; what can't stand in a file's name is percent-encoded."""
    escaped = quote(name, safe=" !()+,-=@[]{}~")
    escaped = f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped
    return f"{escaped[:200]}{'.json' if text.lstrip().startswith('{') else '.yaml'}"


def check_target(folder: Path) -> None:
    """Raise `FilesError` if the folder is a Python package: exported flows do not belong among its modules."""
    if (folder / "__init__.py").exists():
        raise FlowFilesError(f"{folder}: is a Python package (it contains __init__.py); choose a different folder")


def write_flow(folder: Path, name: str, text: str) -> bool:
    """Write a flow into the folder; False where it stands there already as it is. Raises `FilesError`."""
    path = folder / flow_file_name(name, text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FlowFilesError(f"{path}: {error.strerror}") from None
    return True
