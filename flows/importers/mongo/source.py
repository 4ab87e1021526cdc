"""Sources of the original's data: a mongodump or a running MongoDB.

The database is `flyte`, its collections are `pack`, `flow` (current flows), `flowHistory` (all saved versions),
`action` and `datastore`; an older database may have a copy of the actions in `audit`.
"""

import gzip
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Protocol, cast

import bson
import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo.errors import PyMongoError

MongoDocument = dict[str, Any]

DATABASE = "flyte"
COLLECTIONS = ("pack", "flow", "flowHistory", "action", "audit", "datastore")
SERVER_SELECTION_TIMEOUT_MS = 10_000
BSON_OPTIONS: CodecOptions[MongoDocument] = CodecOptions(tz_aware=True, unicode_decode_error_handler="replace")


class MongoSourceError(Exception):
    """A source that cannot be read; the text is one line."""


class MongoSource(Protocol):
    """A database of the original server."""

    def list_collections(self) -> set[str]:
        """Return the names of the original's collections that the source has. Raises `MongoSourceError`."""

    def read_documents(self, collection: str) -> Iterator[MongoDocument]:
        """Read every document of a collection; none if it does not exist. Raises `MongoSourceError`."""


class DumpSource:
    """A folder written by `mongodump`: of the database, or with a subfolder for it. Files can be gzipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = _find_dump_folder(folder)

    def list_collections(self) -> set[str]:
        return {name for name in COLLECTIONS if _has_collection(self._folder, name)}

    def read_documents(self, collection: str) -> Iterator[MongoDocument]:
        for path in (self._folder / f"{collection}.bson", self._folder / f"{collection}.bson.gz"):
            if path.is_file():
                yield from _read_bson(path)
                return


def _has_collection(folder: Path, name: str) -> bool:
    return any((folder / f"{name}.bson{suffix}").is_file() for suffix in ("", ".gz"))


def _find_dump_folder(folder: Path) -> Path:
    """Find the folder with the files. Raises `MongoSourceError` if it is not found."""
    for candidate in (folder, folder / DATABASE):
        if any(_has_collection(candidate, name) for name in COLLECTIONS):
            return candidate
    if folder.is_file():
        raise MongoSourceError(f"{folder}: is a file; unpack an archive with mongorestore, or dump with --out")
    if not folder.is_dir():
        raise MongoSourceError(f"{folder}: folder not found")
    files = ", ".join(f"{name}.bson" for name in COLLECTIONS[:2])
    raise MongoSourceError(f"{folder}: no mongodump files found (expected {files}, …)")


def _read_bson(path: Path) -> Iterator[MongoDocument]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield from bson.decode_file_iter(cast(IO[bytes], stream), BSON_OPTIONS)
    except (OSError, EOFError, zlib.error, BSONError) as error:
        raise MongoSourceError(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from None


class LiveSource:
    """A running MongoDB, by its URI; it is only read."""

    def __init__(self, uri: str) -> None:
        try:
            self._client: pymongo.MongoClient[MongoDocument] = pymongo.MongoClient(
                uri, serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS, socketTimeoutMS=60_000
            )
            self._database = self._client.get_default_database(DATABASE, codec_options=BSON_OPTIONS)
        except (PyMongoError, ValueError) as error:
            raise MongoSourceError(f"--uri: {_to_one_line(error)}") from None

    def list_collections(self) -> set[str]:
        """Return the names of the original's collections. A database without any is an error that names the others."""
        try:
            names = self._database.list_collection_names()
        except (PyMongoError, BSONError) as error:
            raise MongoSourceError(f"MongoDB: {_to_one_line(error)}") from None
        if found := set(names) & set(COLLECTIONS):
            return found
        state = "none of the original's collections" if names else "not found or empty"
        raise MongoSourceError(f"database {self._database.name!r}: {state}; databases: {self._format_databases()}")

    def _format_databases(self) -> str:
        try:
            return ", ".join(sorted(self._client.list_database_names())) or "none"
        except (PyMongoError, BSONError) as error:
            return f"unknown ({_to_one_line(error)})"

    def read_documents(self, collection: str) -> Iterator[MongoDocument]:
        try:
            yield from self._database[collection].find()
        except (PyMongoError, BSONError) as error:
            raise MongoSourceError(f"MongoDB: {_to_one_line(error)}") from None


def _to_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def group_by_execution(source: MongoSource, skip: Callable[[str], object]) -> Iterator[list[MongoDocument]]:
    """Group the actions by execution. A temporary file sorts them: a dump is unordered and can be large.

    `skip` is called with the reason for each action that belongs to no execution.
    """
    with tempfile.NamedTemporaryFile(suffix=".sqlite3") as file, closing(sqlite3.connect(file.name)) as sorter:
        sorter.execute("CREATE TABLE action (id TEXT PRIMARY KEY, execution TEXT, data BLOB)")
        for collection in ("audit", "action"):
            sorter.executemany("INSERT OR REPLACE INTO action VALUES (?, ?, ?)", _iter_rows(source, collection, skip))
        sorter.execute("CREATE INDEX by_execution ON action (execution)")
        group: list[MongoDocument] = []
        for (data,) in sorter.execute("SELECT data FROM action ORDER BY execution, rowid"):
            document: MongoDocument = bson.decode(data, BSON_OPTIONS)
            if group and get_text(group[0], "correlationId") != get_text(document, "correlationId"):
                yield group
                group = []
            group.append(document)
        if group:
            yield group


def _iter_rows(source: MongoSource, collection: str, skip: Callable[[str], object]) -> Iterator[tuple[str, str, bytes]]:
    for document in source.read_documents(collection):
        action_id, execution_id = get_text(document, "_id"), get_text(document, "correlationId")
        if action_id and execution_id:
            yield action_id, execution_id, bson.encode(document)
        else:
            skip(f"action {document.get('_id')!r} of collection {collection!r} has no id or no correlationId")


def get_text(document: Mapping[str, Any], key: str) -> str:
    """Return a string of a document; '' if it is missing."""
    value = document.get(key)
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""
