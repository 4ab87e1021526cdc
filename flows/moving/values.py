"""Values, ids and times of the original's documents in this server's form."""

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from bson.decimal128 import Decimal128

from flows.moving.reading import Document, text
from flyte_site.ids import least_id
from flyte_site.times import to_text

_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: Any) -> Any:
    """A BSON value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal128):
        value = float(value.to_decimal())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return to_text(value)
    return value if isinstance(value, str) else str(value)


def texts(value: Any) -> dict[str, str]:
    """A mapping of texts: labels, a context."""
    pairs = value.items() if isinstance(value, Mapping) else ()
    return {str(key): item for key, item in pairs if isinstance(item, str)}


def moved_id(old: str, moment: datetime) -> str:
    """The id here of what had this id there: the same each time, and in the order of time among those made here.

    The original's ids begin with seconds, these with milliseconds, so that kept as they are they would stand behind all
    that is yet to come. `moment` counts where the id tells no time.
    """
    if _OBJECT_ID.fullmatch(old):
        return least_id(ObjectId(old).generation_time)[:12] + old[12:]
    return least_id(moment)[:12] + hashlib.sha256(old.encode()).hexdigest()[:12]


def moment(document: Mapping[str, Any], key: str, default: datetime = EPOCH) -> datetime:
    """A time of a document; Go's year 1 counts as none."""
    value = document.get(key)
    return value if isinstance(value, datetime) and value.year > 1 else default


def event(found: Any, at: datetime) -> dict[str, Any] | None:
    """An event as the audit shows it; None for the empty one that an unfinished action has as its result."""
    if not isinstance(found, Mapping) or not text(found, "name"):
        return None
    given = found.get("pack")
    sender: Document = dict(given) if isinstance(given, Mapping) else {}
    pack: dict[str, Any] = {"id": text(sender, "_id") or text(sender, "name"), "name": text(sender, "name")}
    if labels := texts(sender.get("labels")):
        pack["labels"] = labels
    shown: dict[str, Any] = {"event": text(found, "name"), "pack": pack}
    if found.get("payload") is not None:
        shown["payload"] = plain(found["payload"])
    received = moment(found, "receivedAt", at)
    return shown | {"createdAt": to_text(moment(found, "createdAt", received)), "receivedAt": to_text(received)}
