"""A soak test: `python -m tests.faults sqlite|postgresql` prints figures; it exits with 1 if a check fails."""

import argparse
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.faults.checks import failed_checks
from tests.faults.plan import HAZARDS, WEIGHTS
from tests.faults.report import defects_logged, summarize_logs, table
from tests.faults.soak import NotSettledError, Settings, prepare_soak
from tests.faults.store import damage

MAX_SHOWN = 20


def main() -> int:
    settings, keep = read_arguments()
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="flyte-faults-"))
    name = "PostgreSQL" if settings.postgres else "SQLite"
    print(f"soak on {name}: seed {settings.seed}, {settings.seconds:.0f} s, files in {folder}", flush=True)
    wrong = run_soak(settings, folder)
    if not wrong:
        if not keep:
            shutil.rmtree(folder)
        print(f"soak on {name}: all holds")
        return 0
    for check, lines in wrong.items():
        print(f"FAILED {check}: {len(lines)}")
        print("".join(f"    {line}\n" for line in lines[:MAX_SHOWN]), end="")
    print(f"soak on {name} failed with seed {settings.seed}; journals, logs and database are in {folder}")
    return 1


def run_soak(settings: Settings, folder: Path) -> dict[str, list[str]]:
    """Run a soak, print its figures, and return the failures by check."""
    with prepare_soak(settings, folder) as soak:
        try:
            story = soak.run()
        except NotSettledError as error:
            return {"settled": [str(error)]}
        print(table(story))
        print(summarize_logs(soak.storm.programs))
        others = {
            "settled": soak.unsettled,
            "logs": defects_logged(soak.storm.servers),
            "database": damage(soak.database_url),
        }
    return failed_checks(story) | {name: lines for name, lines in others.items() if lines}


def read_arguments() -> tuple[Settings, bool]:
    """Return the settings, and True if the files are kept after a success."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("database", choices=["sqlite", "postgresql"])
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the storm lasts")
    parser.add_argument("--seed", type=int, help="of the plan of faults; without it one is drawn")
    parser.add_argument(
        "--only", default="", help="kinds of faults, separated by commas; without it all that are possible"
    )
    parser.add_argument("--keep", action="store_true", help="keep all files, though all holds")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    only = frozenset(filter(None, options.only.split(",")))
    if unknown := only - set(WEIGHTS):
        parser.error(f"unknown kinds of faults: {', '.join(sorted(unknown))}; use {', '.join(sorted(WEIGHTS))}")
    settings = Settings(
        seed,
        options.seconds,
        postgres=options.database == "postgresql",
        hazards=HAZARDS,
        excluded_kinds=frozenset(WEIGHTS) - only if only else frozenset(),
    )
    return settings, options.keep


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
