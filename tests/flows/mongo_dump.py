"""A dump of the original server's database, as `mongodump` writes it: packs, flows and executions.

Collections and fields have the names in its API (tests/data/contract), except `_id`, `uuid`, and an event's `name`.
"""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
from bson import Binary, ObjectId

BEGAN = datetime(2026, 11, 20, 5, 30, 29, 463000, tzinfo=UTC)
NOBODY = {"name": "", "pack": {"_id": "", "name": ""}}


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def new_id(seconds: float = 0) -> str:
    """An id as the original makes them: of the second, and some more."""
    return str(ObjectId(f"{int(at(seconds).timestamp()):08x}{ObjectId()!s:.24}"[:8] + str(ObjectId())[8:]))


def pack(name: str, labels: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    identity = ".".join([name, *(part for key in sorted(labels or {}) for part in (key, (labels or {})[key]))])
    commands = [{"name": "Do", "events": ["Done"], "links": [{"href": "http://docs", "rel": "help"}]}]
    return {
        "_id": identity, "name": name, "labels": labels, "commands": commands, "events": [{"name": "Go", "links": []}],
        "lastSeen": BEGAN, "links": [{"href": "http://docs", "rel": "help"}], **changes,
    }  # fmt: skip


def flow(name: str, *steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As both `flow` and `flowHistory` have it; the two differ in `_id` alone."""
    return {"_id": ObjectId(new_id(-60)), "uuid": new_id(-60), "name": name, "steps": list(steps), **changes}


def step(step_id: str, after: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """A step that fires on Src.Go, or on Wrk.Done after others, and asks Wrk to Do."""
    event = {"name": "Done", "packName": "Wrk"} if after else {"name": "Go", "packName": "Src"}
    plain = {"event": event, "command": {"name": "Do", "packName": "Wrk", "input": "{{ Event.Payload.n }}"}}
    return {**({"id": step_id} if step_id else {}), **({"dependsOn": after} if after else {}), **plain, **changes}


def event(pack_name: str, name: str, payload: Any = None, seconds: float = 0) -> dict[str, Any]:
    told = {"name": name, "pack": {"_id": pack_name, "name": pack_name}, "createdAt": at(seconds - 1)}
    return told | ({} if payload is None else {"payload": payload}) | {"receivedAt": at(seconds)}


def action(of: dict[str, Any], correlation_id: str, step_id: str, *states: str, **changes: Any) -> dict[str, Any]:
    """An action that was in these states, a second after another."""
    listed = [{"value": value, "time": at(place)} for place, value in enumerate(states)]
    finished = states[-1] in ("SUCCESS", "FATAL")
    ended = event("Wrk", "FATAL" if states[-1] == "FATAL" else "Done", {"n": 7}, len(states) - 1)
    return {
        "_id": new_id(), "name": "Do", "packName": "Wrk", "input": {"n": 5, "list": [1.5, None]}, "state": listed[-1],
        "states": listed, "correlationId": correlation_id, "flowName": of["name"], "flowUUID": of["uuid"],
        "stepId": step_id, "context": {"Who": "ann"}, "trigger": event("Src", "Go", {"n": 5}),
        "result": ended if finished else NOBODY, **changes,
    }  # fmt: skip


def item(key: str, value: bytes, content_type: str = "application/json") -> dict[str, Any]:
    return {"_id": key, "contentType": content_type, "description": "", "value": Binary(value)}


def write(folder: Path, collections: dict[str, list[dict[str, Any]]], *, zipped: bool = False) -> Path:
    """The folder with a file for each collection, and the metadata that mongodump puts beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in collections.items():
        data = b"".join(bson.encode(document) for document in documents)
        file = folder / f"{name}.bson{'.gz' if zipped else ''}"
        file.write_bytes(gzip.compress(data) if zipped else data)
        (folder / f"{name}.metadata.json").write_text("{}")
    return folder
