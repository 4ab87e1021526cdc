"""`python -m bench`: run all benchmarks in separate processes; print a table for each, and write all to `bench.json`.

Arguments select benchmarks by name: `python -m bench flows audit`.
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
    """A benchmark: the title of its table, and a module with arguments, run once for each database."""

    title: str
    command_line: tuple[str, ...]
    databases: tuple[str, ...] = BOTH_DATABASES

    def build_commands(self) -> list[list[str]]:
        module, *arguments = self.command_line
        return [[PYTHON, "-m", module, *([database] if database else []), *arguments] for database in self.databases]


BENCHMARKS = {
    "flows": Benchmark("Flows of two steps over HTTP, event to completion, eight callers", ("bench.flows",)),
    "parts": Benchmark("Processor time of a flow by part, without HTTP", ("bench.in_process", "parts")),
    "http": Benchmark("Only HTTP, with an application that does nothing", ("bench.http_baseline",), ("",)),
    "backlog": Benchmark("A take with many queued actions", ("bench.in_process", "backlog")),
    "intake": Benchmark("Events with many flows, few of which match", ("bench.intake",)),
    "audit": Benchmark("The list of executions in the audit", ("bench.in_process", "executions")),
    "idle": Benchmark("Idle packs", ("bench.idle",)),
    "clients": Benchmark(
        "Memory with strangers' bodies, and with 5,000 idle packs", ("bench.clients",), ("postgresql",)
    ),
    "longpoll": Benchmark("Long poll: from an event to the waiting take", ("bench.longpoll",)),
    "payloads": Benchmark("Payloads of several sizes: database, responses, memory", ("bench.in_process", "payloads")),
    "templates": Benchmark("Templates of the manual, on one core", ("bench.templates",), ("",)),
}


def run_benchmark(command: list[str]) -> list[dict[str, Any]]:
    """Run a benchmark; return the JSON objects that it prints, one per line."""
    completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in completed.stdout.splitlines() if line.startswith("{")]


def format_table(rows: list[dict[str, Any]]) -> str:
    """Format rows as a table with a header."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def describe_machine() -> dict[str, Any]:
    """Describe the hardware and software of this machine."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown")
    versions = {"Python": platform.python_version(), "Django": django.__version__, "gunicorn": gunicorn.__version__}
    stores = {"psycopg": psycopg.__version__, "SQLite": sqlite3.sqlite_version}
    cores = {"processor": model.partition(":")[2].strip(), "cores": os.cpu_count(), "Linux": platform.release()}
    return {**cores, **versions, **stores, "load before": os.getloadavg()[0]}


def main() -> None:
    """Run the benchmarks one after another, so that they don't disturb each other."""
    chosen = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(chosen) - set(BENCHMARKS):
        sys.exit(f"unknown benchmarks: {', '.join(sorted(unknown))}; use {', '.join(BENCHMARKS)}")
    result: dict[str, Any] = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "machine": describe_machine()}
    print(", ".join(f"{name} {value}" for name, value in result["machine"].items()), flush=True)
    for name in chosen:
        rows = [row for command in BENCHMARKS[name].build_commands() for row in run_benchmark(command)]
        result[name] = rows
        print(f"\n{BENCHMARKS[name].title}\n{format_table(rows)}", flush=True)
        RESULT_FILE.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
