"""Check the project's English: `python -m tests.language [--list] [PATH ...]`.

Exit with 1 if a figure is over its limit, and print the offences of these figures. `--list` prints the offences of
all figures; with paths, only those of these files and folders.
"""

import argparse
import sys
from pathlib import Path

from tests.language.checks import Figure, Project, load_rules

ROOT = Path(__file__).resolve().parent.parent.parent


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.language", description="Check the project's English.")
    parser.add_argument("--list", action="store_true", help="list every offence, also of figures within their limits")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the project")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="list only the offences in these files and folders")
    options = parser.parse_args(arguments)
    figures = Project(options.root.resolve(), load_rules()).read().measure()
    over_limit = [figure for figure in figures if figure.is_over_limit]
    print_offences(figures if options.list or options.paths else over_limit, options.paths)
    print(", ".join(map(str, figures)))
    if over_limit:
        names = ", ".join(figure.name for figure in over_limit)
        print(f"over the limit: {names} (rules: tests/language/rules.toml)", file=sys.stderr)
    return int(bool(over_limit))


def print_offences(figures: list[Figure], paths: list[str]) -> None:
    for figure in figures:
        for offence in figure.offences:
            if not paths or any(Path(offence.path).is_relative_to(path) for path in paths):
                print(offence)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
