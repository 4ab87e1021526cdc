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
RESULT_FILE = Path("bench.json")
BOTH_DATABASES = ("sqlite", "postgresql")


class Benchmark(NamedTuple):
    """A heading, and the module with its arguments, once for each database where it is about one."""

    title: str
    command_line: tuple[str, ...]
    databases: tuple[str, ...] = BOTH_DATABASES

    def build_commands(self) -> list[list[str]]:
        module, *arguments = self.command_line
        return [[PYTHON, "-m", module, *([database] if database else []), *arguments] for database in self.databases]


BENCHMARKS = {
    "flows": Benchmark("Flows of two steps over HTTP, event to completion, eight callers", ("bench.flows",)),
    "parts": Benchmark("Where the time of a flow goes, without HTTP", ("bench.in_process", "parts")),
    "http": Benchmark("HTTP alone, with an application that does nothing", ("bench.http_baseline",), ("",)),
    "backlog": Benchmark("A take while very many actions wait", ("bench.in_process", "backlog")),
    "intake": Benchmark("Events while very many flows are saved, of which few listen", ("bench.intake",)),
    "audit": Benchmark("The audit's list of executions", ("bench.in_process", "executions")),
    "idle": Benchmark("Packs with nothing to do", ("bench.idle",)),
    "longpoll": Benchmark("Long poll: an event to the take that waits for it", ("bench.longpoll",)),
    "templates": Benchmark("Templates of the manual, on one core", ("bench.templates",), ("",)),
}


def run_benchmark(command: list[str]) -> list[dict[str, Any]]:
    """What a measure prints: a JSON object a line."""
    completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in completed.stdout.splitlines() if line.startswith("{")]


def format_table(rows: list[dict[str, Any]]) -> str:
    """Rows under their names, in columns."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def describe_machine() -> dict[str, Any]:
    """On what it was measured."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown")
    versions = {"Python": platform.python_version(), "Django": django.__version__, "gunicorn": gunicorn.__version__}
    stores = {"psycopg": psycopg.__version__, "SQLite": sqlite3.sqlite_version}
    cores = {"processor": model.partition(":")[2].strip(), "cores": os.cpu_count(), "Linux": platform.release()}
    return {**cores, **versions, **stores, "load before": os.getloadavg()[0]}


def main() -> None:
    """Run the measures one after another: two cores measure one thing at a time."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"there is no measure {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    result: dict[str, Any] = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "machine": describe_machine()}
    print(", ".join(f"{name} {value}" for name, value in result["machine"].items()), flush=True)
    for name in chosen:
        rows = [row for command in BENCHMARKS[name].build_commands() for row in run_benchmark(command)]
        result[name] = rows
        print(f"\n{BENCHMARKS[name].title}\n{format_table(rows)}", flush=True)
        RESULT_FILE.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
