"""Database bytes, answer bytes and memory of flows with payloads of several sizes.

A flow of ten steps passes its payload on: each step keeps it in the context, sends it as its input and gets it back as
the result. Run `python -m bench.in_process sqlite payloads` or `postgresql`.
"""

import gc
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from bench.in_process import print_row
from flows.definition import parse_flow, store
from flows.engine.complete import complete_action
from flows.engine.handle_event import handle_event
from flows.engine.step import EventSource, IncomingEvent
from flows.models import Execution
from packs import registry
from packs.models import Pack
from packs.queue.take import take

STEPS = 10
SIZES = {"1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000}
# The flows that one event starts in the last part, and the executions on its page.
LISTENERS, LISTED_EXECUTIONS = 100, 3
PROCESS = Path("/proc/self")


def main(database: str, arguments: Sequence[str]) -> None:
    """Print a line of JSON for each size, and one for an event that starts many flows."""
    source, worker = (
        registry.register({"name": name, "labels": {}, "commands": [], "events": [], "links": []})
        for name in ("Source", "Worker")
    )
    with override_settings(FLYTE_ALLOWED_HOSTS=("testserver",)):
        for label, size in SIZES.items():
            store.save_flow(parse_flow(build_flow(f"flow of {size}", f"Go{size}", STEPS)))
            measure_flow(database, label, size, source, worker)
        for number in range(LISTENERS):
            store.save_flow(parse_flow(build_flow(f"listener {number}", "Shared", 1)))
        before = measure_database()
        handle_event(build_event(source, "Shared", build_payload(SIZES["1 MB"], LISTED_EXECUTIONS)))
        stored = {"database bytes": measure_database() - before}
        print_row(database=database, payload=f"1 MB to {LISTENERS} flows", **stored)


def measure_flow(database: str, label: str, size: int, source: Pack, worker: Pack) -> None:
    """Run the flow of this size, and print what it stored and what the audit returns."""
    payloads = [build_payload(size, number) for number in range(LISTED_EXECUTIONS)]
    before = measure_database()
    for payload in payloads:
        run_flow(source, worker, f"Go{size}", payload)
    stored = {"database bytes": (measure_database() - before) // LISTED_EXECUTIONS}
    execution = Execution.objects.latest("started_at").id
    client = Client()
    answers: dict[str, Any] = {}
    for name, path in {
        "list": f"/v1/audit/flows?flowName=flow%20of%20{size}",
        "detail": f"/v1/audit/flows/{execution}",
        "events": "/v1/audit/events",
    }.items():
        resident = reset_peak_memory()
        answers[f"{name} bytes"] = len(client.get(path).content)
        answers[f"{name} memory"] = read_memory("VmHWM") - resident
    print_row(database=database, payload=label, **stored, **answers)


def run_flow(source: Pack, worker: Pack, event: str, payload: Any) -> None:
    """Start the flow with an event, and finish each of its actions with the same payload."""
    handle_event(build_event(source, event, payload))
    for _ in range(STEPS):
        action = take(worker)
        if action is None:
            raise ValueError("no action is queued")
        complete_action(action.id, worker, build_event(worker, "Done", payload), action.attempt)


def build_flow(name: str, event: str, steps: int) -> dict[str, Any]:
    """Build a flow of steps that depend on each other."""
    command = {"packName": "Worker", "name": "Do", "input": {"text": "{{ Event.Payload }}"}}
    first: dict[str, Any] = {"event": {"packName": "Source", "name": event}}
    events = [first, *({"event": {"packName": "Worker", "name": "Done"}} for _ in range(steps - 1))]
    documents = [
        {"id": f"s{number}", **start, "context": {f"C{number}": "{{ Event.Payload }}"}, "command": command}
        | ({"dependsOn": [f"s{number - 1}"]} if number else {})
        for number, start in enumerate(events)
    ]
    return {"name": name, "steps": documents}


def build_payload(size: int, seed: int = 0) -> dict[str, Any]:
    """Build an object of about `size` bytes of JSON: a list of records with words, numbers and random ids."""
    generator, record_bytes = random.Random(seed), 100  # noqa: S311
    words = ["build", "deploy", "failed", "succeeded", "branch", "review", "ticket", "customer"]
    records = [
        {
            "id": generator.randbytes(16).hex(),
            "n": generator.randrange(10**6),
            "text": " ".join(generator.sample(words, 3)),
        }
        for _ in range(max(1, size // record_bytes))
    ]
    return {"title": "records", "records": records}


def build_event(pack: Pack, name: str, payload: Any) -> IncomingEvent:
    now = timezone.now()
    # A copy, as the server parses each request.
    return IncomingEvent(EventSource.of_pack(pack), name, json.loads(json.dumps(payload)), now, now)


def measure_database() -> int:
    """Return the bytes of all tables with their indexes, or of SQLite's file after a checkpoint."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Path(settings.DATABASES["default"]["NAME"]).stat().st_size
        cursor.execute("SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables")
        return int(cursor.fetchone()[0])


def reset_peak_memory() -> int:
    """Reset the peak of this process' resident memory; return its current resident memory in bytes."""
    gc.collect()
    (PROCESS / "clear_refs").write_text("5")
    return read_memory("VmRSS")


def read_memory(name: str) -> int:
    """Read a figure of this process' memory in bytes."""
    lines = (PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
