"""Flow files: reading flows from a folder and writing flows to one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flow_files.errors import FlowFilesError, describe_read_error

FILE_SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 10_000
MAX_FILE_BYTES = 4 * 1024 * 1024
# A line that begins like this ends a YAML document, even inside a block scalar (YAML 1.2, rule c-forbidden).
_DOCUMENT_MARKER = re.compile(r"(---|\.\.\.)(?=[ \t]|$)")


@dataclass(frozen=True)
class FlowSource:
    """A flow's text in a file; `line` is the number of its first line, from 1."""

    path: Path
    line: int
    text: str

    def format_location(self, line: int, column: int) -> str:
        """Format a position in the text as `flows/date.yaml:12:5`."""
        return f"{self.path}:{self.line + max(line, 1) - 1}:{max(column, 1)}"


def read_flows(root: Path) -> list[FlowSource]:
    """Read the flows of a file, or of all files in a folder and its subfolders, in order of their paths.

    Raises `FlowFilesError` for a file that can't be read, and if there are no flows.
    """
    sources = [source for path in _find_files(root) for source in _read_documents(path)]
    if not sources:
        patterns = ", ".join(f"*{suffix}" for suffix in FILE_SUFFIXES)
        raise FlowFilesError(f"no flow files ({patterns}) in {str(root)!r}")
    return sources


def _find_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise FlowFilesError(f"{root}: file or folder not found")
    paths = []
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in FILE_SUFFIXES and not hidden and path.is_file():
            paths.append(path)
        if len(paths) > MAX_FILES:
            raise FlowFilesError(f"{root}: too many files, at most {MAX_FILES:,} are allowed")
    return paths


def _read_documents(path: Path) -> Iterator[FlowSource]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FlowFilesError(f"{path}: {describe_read_error(error)}") from None
    if len(data) > MAX_FILE_BYTES:
        raise FlowFilesError(f"{path}: too large, at most {MAX_FILE_BYTES:,} bytes are allowed")
    parts = [(1, text)] if text.lstrip().startswith("{") else split_documents(text)
    yield from (FlowSource(path, line, part) for line, part in parts)


def split_documents(text: str) -> list[tuple[int, str]]:
    """Split a YAML text into its documents, each with the number of its first line; skip empty documents."""
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
    """Return True if the line is more than a comment or a directive."""
    return bool(line.strip()) and not line.lstrip().startswith(("#", "%"))


def flow_file_name(name: str, text: str) -> str:
    """Return the file name for a flow; characters that file names can't contain are percent-encoded."""
    escaped = quote(name, safe=" !()+,-=@[]{}~")
    escaped = f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped
    return f"{escaped[:200]}{'.json' if text.lstrip().startswith('{') else '.yaml'}"


def check_target(folder: Path) -> None:
    """Raise `FlowFilesError` if the folder is a Python package: exported flows do not belong among its modules."""
    if (folder / "__init__.py").exists():
        raise FlowFilesError(f"{folder}: is a Python package (it contains __init__.py); choose a different folder")


def write_flow(folder: Path, name: str, text: str) -> bool:
    """Write a flow to its file; return False if the file already has this text. Raises `FlowFilesError`."""
    path = folder / flow_file_name(name, text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FlowFilesError(f"{path}: {error.strerror}") from None
    return True
