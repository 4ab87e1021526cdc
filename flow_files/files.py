"""Flow files: reading flows from a folder and writing flows to one."""

import hashlib
import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flow_files.errors import FlowFilesError, FlowStoreError, describe_read_error
from flyte_formats.decoding import decode_text

FILE_SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 10_000
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_FOLDER_DEPTH = 100
MAX_FILE_NAME_LENGTH = 200
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
    """Find the flow files of a folder. Raises `FlowFilesError` for any part of it that can't be read.

    `--prune` deletes the flows of files that are not found, so nothing that could hold a flow is skipped.
    """
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            return [_require_regular_file(root)]
    except FileNotFoundError:
        raise FlowFilesError(f"{root}: file or folder not found") from None
    except OSError as error:
        raise FlowFilesError(f"{root}: {describe_read_error(error)}") from None
    paths = []
    for path in _iter_flow_paths(root, ()):
        paths.append(_require_regular_file(path))
        if len(paths) > MAX_FILES:
            raise FlowFilesError(f"{root}: too many files, at most {MAX_FILES:,} are allowed")
    return sorted(paths)


def _iter_flow_paths(folder: Path, ancestors: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """Yield the paths with a suffix of flow files in a folder and its subfolders, also behind symbolic links.

    `ancestors` has the device and inode of each folder above this one.
    """
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in ancestors:
            raise FlowFilesError(f"{folder}: symbolic link to a folder that contains it")
        if len(ancestors) >= MAX_FOLDER_DEPTH:
            raise FlowFilesError(f"{folder}: more than {MAX_FOLDER_DEPTH} nested folders")
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _iter_flow_paths(path, (*ancestors, (status.st_dev, status.st_ino)))
            elif path.suffix.lower() in FILE_SUFFIXES or _is_dangling(path):
                yield path
    except OSError as error:
        raise FlowFilesError(f"{error.filename or folder}: {describe_read_error(error)}") from None


def _is_dangling(path: Path) -> bool:
    """Return True for a symbolic link without a target: it could have been a folder with flows."""
    return path.is_symlink() and not path.exists()


def _require_regular_file(path: Path) -> Path:
    """Return the path if it is a regular file: reading a pipe would wait for ever. Raises `FlowFilesError`."""
    try:
        if _is_dangling(path):
            raise FlowFilesError(f"{path}: symbolic link to {os.readlink(path)!r}, which does not exist")
        if stat.S_ISREG(path.stat().st_mode):
            return path
    except OSError as error:
        raise FlowFilesError(f"{path}: {describe_read_error(error)}") from None
    raise FlowFilesError(f"{path}: is not a regular file")


def _read_documents(path: Path) -> Iterator[FlowSource]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise FlowFilesError(f"{path}: too large, at most {MAX_FILE_BYTES:,} bytes are allowed")
        text = decode_text(data, errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise FlowFilesError(f"{path}: {describe_read_error(error)}") from None
    if not text.strip():
        raise FlowFilesError(f"{path}: file is empty; delete it if its flow is not needed")
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


def choose_file_stems(names: Iterable[str]) -> dict[str, str]:
    """Choose the name of each flow's file, without its suffix.

    Characters that file names can't contain are percent-encoded; upper-case letters too, if two names differ only in
    case, because some file systems ignore it. A long name is cut, and ends in its hash.
    """
    plain_stems = {name: _escape_name(name) for name in names}
    uses = Counter(stem.lower() for stem in plain_stems.values())
    return {
        name: _limit_length(stem if uses[stem.lower()] == 1 else _escape_upper_case(stem), name)
        for name, stem in plain_stems.items()
    }


def _escape_name(name: str) -> str:
    escaped = quote(name, safe=" !()+,-=@[]{}~")
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


def _escape_upper_case(stem: str) -> str:
    """Percent-encode the upper-case letters that are not part of an escape."""
    return re.sub(r"%[0-9A-F]{2}|[A-Z]", lambda match: match[0] if len(match[0]) == 3 else f"%{ord(match[0]):X}", stem)


def _limit_length(stem: str, name: str) -> str:
    if len(stem) <= MAX_FILE_NAME_LENGTH:
        return stem
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{stem[: MAX_FILE_NAME_LENGTH - len(digest) - 1]}-{digest}"


def get_suffix(text: str) -> str:
    """Return the suffix for a flow's text: JSON or YAML."""
    return ".json" if text.lstrip().startswith("{") else ".yaml"


def check_target(folder: Path) -> None:
    """Raise `FlowFilesError` if flows can't be exported to this folder, or do not belong among its modules."""
    if folder.exists() and not folder.is_dir():
        raise FlowFilesError(f"{folder}: is not a folder")
    if (folder / "__init__.py").exists():
        raise FlowFilesError(f"{folder}: is a Python package (it contains __init__.py); choose a different folder")


def write_flow(path: Path, text: str) -> bool:
    """Write a flow to its file; return False if the file already has this text. Raises `FlowStoreError`."""
    data = text.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.read_bytes() == data:
            return False
        _replace_file(path, data)
    except OSError as error:
        raise FlowStoreError(f"{path}: {error.strerror}") from None
    return True


def _replace_file(path: Path, data: bytes) -> None:
    """Replace the file's content at once: if the disk is full, the old content stays."""
    target = path.resolve()
    temporary = target.with_name(f".{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
