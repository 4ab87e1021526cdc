"""Large JSON values, which are stored once and referenced by every column that contains them.

A column of `LargeJSONField` contains plain JSON as long as that is small. Of a larger document, each large part is
stored in the table of `packs.models.LargeValue` under a hash of its content, and the column refers to it. An event, the
triggers that it caused, and equal inputs, results and texts of contexts thus share one compressed copy. The column's
text begins with `~`, as no JSON does, so that no payload can imitate a reference:

    ~{"document":{"event":"Go","payload":null},"large":[[["payload"],"20786-9f86d0…",1000000]]}

A part's id begins with the day on which it was written: the same content is stored again on another day. So a part of
an earlier day gets no new references, and can be deleted without locks once its last use is released.
"""

import hashlib
import json
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from flyte_site.db.fields import TextJSONField, encode_json
from flyte_site.db.raw_sql import fetch_all, placeholders

MIN_LARGE_BYTES = 8_192
"""The size of JSON from which a value is large. Below it, a reference saves too little to be worth its statements."""
# Bounds on the search for large parts. Beyond them a container is stored as one part.
MAX_DEPTH = 6
MAX_MEMBERS = 1_000
MAX_LARGE_MEMBERS = 8
MAX_ROWS_PER_STATEMENT = 200
SECONDS_PER_DAY = 86_400
REFERENCE_MARK = "~"
COMPRESSION_LEVEL = 1

Path = list[str | int]
Statement = tuple[str, list[Any]]

_INSERT_VALUES = "INSERT INTO packs_largevalue (id, day, size, data) VALUES {rows} ON CONFLICT DO NOTHING"
_INSERT_USES = (
    "INSERT INTO packs_largevalueuse (value_id, owner_kind, owner_id, released) VALUES {rows} ON CONFLICT DO NOTHING"
)


class LargeValueNotFoundError(Exception):
    """A stored document refers to a large value that is not stored."""


class Owner(NamedTuple):
    """The object that uses a large value until it is deleted: `execution` or `event`, and its id."""

    kind: str
    id: str


class LargePart(NamedTuple):
    """A part of a document to be stored: its id, the size of its JSON, and its compressed JSON."""

    id: str
    size: int
    data: bytes


class _SplitValue(NamedTuple):
    """A value without its large parts, which are listed with their paths; `size` is the size of its JSON."""

    skeleton: Any
    size: int
    parts: list[tuple[Path, LargePart]]


def current_day() -> int:
    """Return the number of the current day since 1970, in UTC."""
    return int(time.time() // SECONDS_PER_DAY)


class LargeValueWriter:
    """The large values of one unit of work: encodes documents, and collects what must be written before them."""

    def __init__(self) -> None:
        # By the identity of the value, which is kept alive: many rows of a unit of work share large values.
        self._parts: dict[int, tuple[Any, LargePart]] = {}
        self._documents: dict[int, tuple[Any, str, list[str]]] = {}
        self._written: set[Any] = set()
        self._new_parts: dict[str, LargePart] = {}
        self._new_uses: dict[tuple[str, Owner], None] = {}

    def encode(self, value: Any, owner: Owner, text: str = "") -> str:
        """Return the column's text for a JSON value, and collect its large parts and their use by the owner.

        `text` is the value's JSON, if the caller has encoded it already.
        """
        known = self._documents.get(id(value))
        if known is None:
            text = text or encode_json(value)
            if len(text) < MIN_LARGE_BYTES:
                return text
            known = self._documents[id(value)] = self._encode_large(value, len(text))
        for part_id in known[2]:
            if (part_id, owner) not in self._written:
                self._written.add((part_id, owner))
                self._new_uses[part_id, owner] = None
        return known[1]

    def take_statements(self) -> list[Statement]:
        """Return the statements that write what was collected since the last call, and forget it."""
        if not self._new_uses:
            return []
        parts, uses = sorted(self._new_parts.values()), sorted(self._new_uses)
        self._new_parts, self._new_uses = {}, {}
        day = current_day()
        part_rows = [[part.id, day, part.size, part.data] for part in parts]
        use_rows = [[part_id, owner.kind, owner.id, False] for part_id, owner in uses]
        return [*_build_inserts(_INSERT_VALUES, part_rows), *_build_inserts(_INSERT_USES, use_rows)]

    def _encode_large(self, value: Any, size: int) -> tuple[Any, str, list[str]]:
        split = self._split(value, size, 0)
        large = [[path, part.id, part.size] for path, part in split.parts]
        for _, part in split.parts:
            if part.id not in self._written:
                self._written.add(part.id)
                self._new_parts[part.id] = part
        text = REFERENCE_MARK + encode_json({"document": split.skeleton, "large": large})
        return value, text, [part.id for _, part in split.parts]

    def _split(self, value: Any, size: int, depth: int) -> _SplitValue:
        """Split a large value into its smallest large parts, or make it one part if that leaves too much."""
        if isinstance(value, dict | list) and depth < MAX_DEPTH and len(value) <= MAX_MEMBERS:
            split = self._split_members(value, size, depth)
            is_divided = split.parts and (not depth or len(split.parts) <= MAX_LARGE_MEMBERS)
            if is_divided and size - sum(part.size for _, part in split.parts) < MIN_LARGE_BYTES:
                return split
        return _SplitValue(None, size, [([], self._build_part(value))])

    def _split_members(self, value: dict[str, Any] | list[Any], size: int, depth: int) -> _SplitValue:
        skeleton: Any = value.copy()
        parts: list[tuple[Path, LargePart]] = []
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            member_size = _measure_if_large(member)
            if member_size < MIN_LARGE_BYTES:
                continue
            split = self._split(member, member_size, depth + 1)
            skeleton[key] = split.skeleton
            parts += [([key, *path], part) for path, part in split.parts]
        return _SplitValue(skeleton, size, parts)

    def _build_part(self, value: Any) -> LargePart:
        known = self._parts.get(id(value))
        if known is None:
            content = encode_json(value).encode()
            part_id = f"{current_day()}-{hashlib.sha256(content).hexdigest()}"
            part = LargePart(part_id, len(content), zlib.compress(content, COMPRESSION_LEVEL))
            known = self._parts[id(value)] = (value, part)
        return known[1]


def _measure_if_large(value: Any) -> int:
    """Return the size of a value's JSON, or 0 if it is obviously small."""
    is_small = len(value) * 6 < MIN_LARGE_BYTES if isinstance(value, str) else not isinstance(value, dict | list)
    return 0 if is_small else len(encode_json(value))


def _build_inserts(template: str, rows: Sequence[list[Any]]) -> Iterator[Statement]:
    for start in range(0, len(rows), MAX_ROWS_PER_STATEMENT):
        batch = rows[start : start + MAX_ROWS_PER_STATEMENT]
        yield template.format(rows=placeholders(len(batch), len(batch[0]))), [item for row in batch for item in row]


class LargeValueLoader:
    """Reader of large values, each once. Rows that are read together share a loader."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def load(self, ids: Collection[str]) -> dict[str, Any]:
        """Return the values with these ids; those that are not stored are missing. At most one query."""
        if missing := [value_id for value_id in dict.fromkeys(ids) if value_id not in self._values]:
            sql = f"SELECT id, data FROM packs_largevalue WHERE id IN {placeholders(1, len(missing))}"  # noqa: S608
            for value_id, data in fetch_all(sql, missing):
                self._values[value_id] = json.loads(zlib.decompress(data))
        return self._values


class StoredDocument:
    """A JSON document whose large parts are not loaded yet. `size` is about the size of its JSON."""

    __slots__ = ("_large", "_skeleton", "loader", "size")

    def __init__(self, text: str) -> None:
        stored = json.loads(text[len(REFERENCE_MARK) :])
        self._skeleton: Any = stored["document"]
        self._large: list[tuple[Path, str, int]] = stored["large"]
        self.loader = LargeValueLoader()
        self.size: int = len(text) + sum(size for _, _, size in self._large)

    @property
    def head(self) -> Any:
        """The document with null in place of its large parts; null if it is one large part itself."""
        return self._skeleton

    def load(self) -> Any:
        """Return the whole document. Raise `LargeValueNotFoundError`."""
        values = self.loader.load([value_id for _, value_id, _ in self._large])
        root = {"": self._skeleton}
        for path, value_id, _ in self._large:
            if value_id not in values:
                raise LargeValueNotFoundError(value_id)
            *parents, last_key = ["", *path]
            container: Any = root
            for key in parents:
                container = container[key]
            container[last_key] = values[value_id]
        return root[""]


def decode_column(text: str) -> Any:
    """Decode a column's text: return its value, or a `StoredDocument` if it refers to large values."""
    return StoredDocument(text) if text.startswith(REFERENCE_MARK) else json.loads(text)


def load_value(value: Any) -> Any:
    """Load a value that a query returned without a model; other values are returned unchanged."""
    return value.load() if isinstance(value, StoredDocument) else value


class LargeValuesModel(models.Model):
    """A model with fields of `LargeJSONField`. A row keeps their documents until the attributes are read."""

    stored_documents: Mapping[str, StoredDocument] = {}

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        """Save the row. Django writes only attributes that are set, so the documents are loaded before."""
        for name in self.stored_documents:
            getattr(self, name)
        super().save(*args, **options)

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        row = super().from_db(db, field_names, values, **options)
        documents = {name: value for name, value in row.__dict__.items() if type(value) is StoredDocument}
        if documents:
            row.keep_documents(documents)
        return row

    def keep_documents(self, documents: Mapping[str, StoredDocument]) -> None:
        """Keep the documents of these attributes, which are not set."""
        self.stored_documents = documents
        for name in documents:
            self.__dict__.pop(name, None)

    def get_deferred_fields(self) -> set[str]:
        """Return the fields that were not read from the database; those with a document were."""
        return super().get_deferred_fields() - self.stored_documents.keys()


class _LargeValueAttribute(DeferredAttribute):
    """A model's attribute that loads large values when it is first read. It is not called for other values."""

    field: Any

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        name = self.field.attname
        document = instance.stored_documents.get(name)
        if document is None or name in instance.__dict__:
            return super().__get__(instance, cls)
        value = instance.__dict__[name] = document.load()
        return value


class LargeJSONField(TextJSONField):
    """A JSON value whose large parts are stored once for all rows that contain them.

    `TableSQL` writes references; Django's own writes store the value itself, as releases before did. Both can be read.
    `owner_kind` and the field `owner` identify the object with which the references are deleted.
    """

    descriptor_class = _LargeValueAttribute

    def __init__(self, *args: Any, owner_kind: str = "", owner: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.owner_kind, self.owner = owner_kind, owner

    def deconstruct(self) -> Any:
        """Return the field as `TextJSONField`: the column is the same, so that no migration is needed."""
        name, _, args, options = super().deconstruct()
        return name, f"{TextJSONField.__module__}.{TextJSONField.__qualname__}", args, options

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else decode_column(value)

    def get_owner(self, row: models.Model) -> Owner:
        return Owner(self.owner_kind, getattr(row, self.owner))


def read_head(row: LargeValuesModel, name: str) -> Any:
    """Return a field's value without loading its large parts: null is in their place, if it is not one itself."""
    document = None if name in row.__dict__ else row.stored_documents.get(name)
    return getattr(row, name) if document is None or document.head is None else document.head
