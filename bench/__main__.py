"""`python -m bench`: every measure, each in processes of its own; one table a measure, and all of it in `bench.json`.

Names on the command line choose measures: `python -m bench flows audit`.
"""

import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import django
import gunicorn
import psycopg

PYTHON = sys.executable
RESULT = Path("bench.json")
ON_BOTH = ("sqlite", "postgresql")


class Measure(NamedTuple):
    """A heading, and the module with its arguments, once for each database where it is about one."""

    title: str
    module: tuple[str, ...]
    databases: tuple[str, ...] = ON_BOTH

    def commands(self) -> list[list[str]]:
        module, *arguments = self.module
        return [[PYTHON, "-m", module, *([database] if database else []), *arguments] for database in self.databases]


MEASURES = {
    "flows": Measure("Flows of two steps over HTTP, event to completion, eight callers", ("bench.flows",)),
    "parts": Measure("Where the time of a flow goes, without HTTP", ("bench.inside", "parts")),
    "http": Measure("HTTP alone, with an application that does nothing", ("bench.nothing",), ("",)),
    "backlog": Measure("A take while very many actions wait", ("bench.inside", "backlog")),
    "intake": Measure("Events while very many flows are saved, of which few listen", ("bench.intake",)),
    "audit": Measure("The audit's list of executions", ("bench.inside", "executions")),
    "idle": Measure("Packs with nothing to do", ("bench.idle",)),
    "longpoll": Measure("Long poll: an event to the take that waits for it", ("bench.longpoll",)),
    "templates": Measure("Templates of the manual, on one core", ("bench.templates",), ("",)),
}


def rows(command: list[str]) -> list[dict[str, Any]]:
    """What a measure prints: a JSON object a line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def table(found: list[dict[str, Any]]) -> str:
    """Rows under their names, in columns."""
    names = list(dict.fromkeys(name for row in found for name in row))
    lines = [names, *([str(row.get(name, "")) for name in names] for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def machine() -> dict[str, Any]:
    """On what it was measured."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown")
    versions = {"Python": platform.python_version(), "Django": django.__version__, "gunicorn": gunicorn.__version__}
    stores = {"psycopg": psycopg.__version__, "SQLite": sqlite3.sqlite_version}
    cores = {"processor": model.partition(":")[2].strip(), "cores": os.cpu_count(), "Linux": platform.release()}
    return {**cores, **versions, **stores, "load before": os.getloadavg()[0]}


def main() -> None:
    """Run the measures one after another: two cores measure one thing at a time."""
    chosen = sys.argv[1:] or list(MEASURES)
    if unknown := set(chosen) - set(MEASURES):
        sys.exit(f"there is no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    result: dict[str, Any] = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "machine": machine()}
    print(", ".join(f"{name} {value}" for name, value in result["machine"].items()), flush=True)
    for name in chosen:
        found = [row for command in MEASURES[name].commands() for row in rows(command)]
        result[name] = found
        print(f"\n{MEASURES[name].title}\n{table(found)}", flush=True)
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
