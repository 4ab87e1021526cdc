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
    """Create an id in the format of the original: the time in seconds, and a random part."""
    return str(ObjectId(f"{int(at(seconds).timestamp()):08x}{ObjectId()!s:.24}"[:8] + str(ObjectId())[8:]))


def pack(name: str, labels: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    identity = ".".join([name, *(part for key in sorted(labels or {}) for part in (key, (labels or {})[key]))])
    commands = [{"name": "Do", "events": ["Done"], "links": [{"href": "http://docs", "rel": "help"}]}]
    return {
        "_id": identity, "name": name, "labels": labels, "commands": commands, "events": [{"name": "Go", "links": []}],
        "lastSeen": BEGAN, "links": [{"href": "http://docs", "rel": "help"}], **changes,
    }  # fmt: skip


def flow(name: str, *steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Build a flow for `flow` and `flowHistory`; the two differ only in `_id`."""
    return {"_id": ObjectId(new_id(-60)), "uuid": new_id(-60), "name": name, "steps": list(steps), **changes}


def step(step_id: str, after: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """Build a step that fires on Src.Go, or on Wrk.Done after others, and runs the command Do of Wrk."""
    event = {"name": "Done", "packName": "Wrk"} if after else {"name": "Go", "packName": "Src"}
    defaults = {"event": event, "command": {"name": "Do", "packName": "Wrk", "input": "{{ Event.Payload.n }}"}}
    return {**({"id": step_id} if step_id else {}), **({"dependsOn": after} if after else {}), **defaults, **changes}


def event(pack_name: str, name: str, payload: Any = None, seconds: float = 0) -> dict[str, Any]:
    document = {"name": name, "pack": {"_id": pack_name, "name": pack_name}, "createdAt": at(seconds - 1)}
    return document | ({} if payload is None else {"payload": payload}) | {"receivedAt": at(seconds)}


def action(of: dict[str, Any], correlation_id: str, step_id: str, *states: str, **changes: Any) -> dict[str, Any]:
    """Build an action that had these states, one second apart."""
    entries = [{"value": value, "time": at(index)} for index, value in enumerate(states)]
    finished = states[-1] in ("SUCCESS", "FATAL")
    result = event("Wrk", "FATAL" if states[-1] == "FATAL" else "Done", {"n": 7}, len(states) - 1)
    return {
        "_id": new_id(), "name": "Do", "packName": "Wrk", "input": {"n": 5, "list": [1.5, None]}, "state": entries[-1],
        "states": entries, "correlationId": correlation_id, "flowName": of["name"], "flowUUID": of["uuid"],
        "stepId": step_id, "context": {"Who": "ann"}, "trigger": event("Src", "Go", {"n": 5}),
        "result": result if finished else NOBODY, **changes,
    }  # fmt: skip


def item(key: str, value: bytes, content_type: str = "application/json") -> dict[str, Any]:
    return {"_id": key, "contentType": content_type, "description": "", "value": Binary(value)}


def write(folder: Path, collections: dict[str, list[dict[str, Any]]], *, zipped: bool = False) -> Path:
    """Write a file for each collection with the metadata that mongodump adds, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, documents in collections.items():
        data = b"".join(bson.encode(document) for document in documents)
        file = folder / f"{name}.bson{'.gz' if zipped else ''}"
        file.write_bytes(gzip.compress(data) if zipped else data)
        (folder / f"{name}.metadata.json").write_text("{}")
    return folder
