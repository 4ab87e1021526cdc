"""Conversion of values, ids and times of the original's documents."""

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bson import Decimal128, ObjectId, Regex, Timestamp

from flows.importers.mongo.source import MongoDocument, get_text
from flyte_site.core.ids import min_id_at
from flyte_site.core.json_numbers import to_json_number
from flyte_site.core.timestamps import format_rfc3339

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnsupportedValueError(ValueError):
    """A value of a BSON type that has no counterpart in JSON."""


def to_json_value(value: Any) -> Any:
    """Convert a BSON value to the JSON that the original's API returned for it. Raises `UnsupportedValueError`.

    Go has only one type for numbers in JSON, so all of the original's numbers are stored as floats.
    """
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return _convert_scalar(value)


def _convert_scalar(value: Any) -> Any:
    if isinstance(value, Decimal128):
        value = float(value.to_decimal())
    if isinstance(value, float):
        return to_json_number(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return format_rfc3339(value)
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Timestamp):
        return value.time << 32 | value.inc
    if isinstance(value, Regex):
        options = "".join(letter for letter in "ilmsux" if value.flags & getattr(re, letter.upper()))
        return {"Pattern": value.pattern, "Options": options}
    raise UnsupportedValueError(f"value of type {type(value).__name__} cannot be imported")


def to_string_map(value: Any) -> dict[str, str]:
    """Convert a mapping of strings: labels, a context."""
    pairs = value.items() if isinstance(value, Mapping) else ()
    return {str(key): item for key, item in pairs if isinstance(item, str)}


def convert_id(old_id: str, default_time: datetime) -> str:
    """Convert an id of the original: the same each time, and sorted by time among the ids of this server.

    The original's ids begin with seconds, these with milliseconds, so unchanged ids would sort after all future ids.
    `moment` is used if the id contains no time.
    """
    if _OBJECT_ID.fullmatch(old_id):
        return min_id_at(ObjectId(old_id).generation_time)[:12] + old_id[12:]
    return min_id_at(default_time)[:12] + hashlib.sha256(old_id.encode()).hexdigest()[:12]


def get_time(document: Mapping[str, Any], key: str, default: datetime = EPOCH) -> datetime:
    """Return a time of a document; Go's year 1 counts as None."""
    value = document.get(key)
    return value if isinstance(value, datetime) and value.year > 1 else default


def convert_event(raw_event: Any, default_time: datetime) -> dict[str, Any] | None:
    """Convert an event to the audit's format; None for the empty result of an unfinished action."""
    if not isinstance(raw_event, Mapping) or not get_text(raw_event, "name"):
        return None
    raw_pack = raw_event.get("pack")
    pack_document: MongoDocument = dict(raw_pack) if isinstance(raw_pack, Mapping) else {}
    pack: dict[str, Any] = {
        "id": get_text(pack_document, "_id") or get_text(pack_document, "name"),
        "name": get_text(pack_document, "name"),
    }
    if labels := to_string_map(pack_document.get("labels")):
        pack["labels"] = labels
    data: dict[str, Any] = {"event": get_text(raw_event, "name"), "pack": pack}
    if raw_event.get("payload") is not None:
        data["payload"] = to_json_value(raw_event["payload"])
    received_at = get_time(raw_event, "receivedAt", default_time)
    return data | {
        "createdAt": format_rfc3339(get_time(raw_event, "createdAt", received_at)),
        "receivedAt": format_rfc3339(received_at),
    }
