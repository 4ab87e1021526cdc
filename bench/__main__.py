"""`python -m bench`: every measure, each in processes of its own, printed as tables."""

import json
import subprocess
import sys
from typing import Any

PYTHON = sys.executable
ON_POSTGRES = [PYTHON, "-m", "tests.private_postgres", PYTHON]
SECTIONS = {
    "Templates of the manual, on one core": [[PYTHON, "-m", "bench.templates"]],
    "Flows: event to completion over HTTP, two steps, 4 senders and 4 workers": [
        [PYTHON, "-m", "bench.flows"],
        [*ON_POSTGRES, "-m", "bench.flows"],
    ],
    "Long poll: an event to the take that waits for it": [
        [PYTHON, "-m", "bench.longpoll"],
        [*ON_POSTGRES, "-m", "bench.longpoll"],
    ],
}


def rows(command: list[str]) -> list[dict[str, Any]]:
    """What a measure prints: a JSON object a line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def table(found: list[dict[str, Any]]) -> str:
    """Rows under their names, in columns."""
    lines = [list(found[0]), *([str(value) for value in row.values()] for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def main() -> None:
    """Run the sections one after another: two cores measure one thing at a time."""
    for title, commands in SECTIONS.items():
        print(f"\n{title}\n{table([row for command in commands for row in rows(command)])}", flush=True)


if __name__ == "__main__":
    main()
