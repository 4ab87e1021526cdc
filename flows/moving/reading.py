"""What the original kept: the collections of its database, from a mongodump or from a MongoDB that runs.

The database is `flyte`, its collections are `pack`, `flow` (the current ones), `flowHistory` (all that were saved),
`action` and `datastore`; an older one may have a copy of the actions in `audit`.
"""

import gzip
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import urlsplit

import bson
import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo.errors import PyMongoError

Document = dict[str, Any]

DATABASE = "flyte"
COLLECTIONS = ("pack", "flow", "flowHistory", "action", "audit", "datastore")
ANSWER_MILLISECONDS = 10_000
OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True, unicode_decode_error_handler="replace")


class SourceError(Exception):
    """What is to be read can't be; the text is one line."""


class Source(Protocol):
    """A database of the original's."""

    def documents(self, collection: str) -> Iterator[Document]:
        """Every document of a collection; none where there is no such collection. Raises `SourceError`."""


class Dump:
    """A folder that `mongodump` wrote: of the one database, or with a folder for it. Files may be gzipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = _with_files(folder)

    def documents(self, collection: str) -> Iterator[Document]:
        for path in (self._folder / f"{collection}.bson", self._folder / f"{collection}.bson.gz"):
            if path.is_file():
                yield from _read(path)
                return


def _with_files(folder: Path) -> Path:
    """The folder with the files. Raises `SourceError` where there is none."""
    for candidate in (folder, folder / DATABASE):
        if any((candidate / f"{name}.bson{end}").is_file() for name in COLLECTIONS for end in ("", ".gz")):
            return candidate
    if folder.is_file():
        raise SourceError(f"{folder}: is a file; unpack an archive with mongorestore, or dump with --out")
    files = ", ".join(f"{name}.bson" for name in COLLECTIONS[:4])
    raise SourceError(f"{folder}: has no {files} as mongodump writes them")


def _read(path: Path) -> Iterator[Document]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
            yield from bson.decode_file_iter(cast(IO[bytes], opened), OPTIONS)
    except (OSError, EOFError, zlib.error, BSONError) as error:
        raise SourceError(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from None


class Running:
    """A MongoDB that runs, by its URI; it is only read."""

    def __init__(self, uri: str) -> None:
        try:
            self._client: pymongo.MongoClient[Document] = pymongo.MongoClient(
                uri, serverSelectionTimeoutMS=ANSWER_MILLISECONDS, socketTimeoutMS=60_000
            )
            name = urlsplit(uri).path.strip("/") or DATABASE
            self._database = self._client.get_database(name, codec_options=OPTIONS)
        except (PyMongoError, ValueError) as error:
            raise SourceError(f"--uri: {_line(error)}") from None

    def documents(self, collection: str) -> Iterator[Document]:
        try:
            yield from self._database[collection].find()
        except (PyMongoError, BSONError) as error:
            raise SourceError(f"MongoDB: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def by_execution(source: Source) -> Iterator[list[Document]]:
    """The actions of each execution. What lies in the dump in any order is put in order in a file of its own."""
    with tempfile.NamedTemporaryFile(suffix=".sqlite3") as file, closing(sqlite3.connect(file.name)) as sorter:
        sorter.execute("CREATE TABLE action (id TEXT PRIMARY KEY, execution TEXT, data BLOB)")
        for collection in ("audit", "action"):
            found = source.documents(collection)
            rows = ((text(one, "_id"), text(one, "correlationId"), bson.encode(one)) for one in found)
            sorter.executemany("INSERT OR REPLACE INTO action VALUES (?, ?, ?)", rows)
        sorter.execute("CREATE INDEX by_execution ON action (execution)")
        own: list[Document] = []
        for (data,) in sorter.execute("SELECT data FROM action WHERE execution != '' ORDER BY execution, rowid"):
            one: Document = bson.decode(data, OPTIONS)
            if own and text(own[0], "correlationId") != text(one, "correlationId"):
                yield own
                own = []
            own.append(one)
        if own:
            yield own


def text(document: Mapping[str, Any], key: str) -> str:
    """A text of a document; '' where it has none."""
    value = document.get(key)
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else ""
