"""Output as tables for people, or as JSON for programs."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from flyte_formats.characters import replace_control_characters
from flyte_formats.output import format_json


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print headings and rows, each column as wide as its longest cell, without commands to a terminal."""
    lines = [[replace_unprintable(cell) for cell in line] for line in [headings, *rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def replace_unprintable(text: str) -> str:
    """Replace characters that a terminal would interpret as commands."""
    return replace_control_characters(text, "\ufffd")


def print_json(value: Any) -> None:
    """Print a value as JSON: indented on a terminal, else on one line."""
    print(format_json(value, indent=2 if sys.stdout.isatty() else None))
