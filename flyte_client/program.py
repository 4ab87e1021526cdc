"""What every pack does as a program: log lines on standard error, one line for what can't work, an exit code."""

import logging
import os
import sys

from flyte_client.errors import FlyteError, SettingsError
from flyte_client.pack import Pack

LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def start_logging() -> None:
    """Log from the level in `LOGLEVEL` (INFO) to the file `LOGFILE`, or to standard error where none is named.

    Raises `SettingsError` for an unknown level or a file that can't be written to.
    """
    name = os.environ.get("LOGLEVEL", "").strip().upper() or "INFO"
    level = LEVELS.get(name, name)
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOGLEVEL: is {name!r}, but must be one of DEBUG, INFO, WARNING, ERROR, FATAL")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=[_handler()])
    # httpx tells of every poll at INFO: that is our DEBUG.
    logging.getLogger("httpx").setLevel(logging.WARNING if level == "INFO" else level)


def _handler() -> logging.Handler:
    file = os.environ.get("LOGFILE", "").strip()
    if not file:
        return logging.StreamHandler(sys.stderr)
    try:
        return logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"LOGFILE: is {file!r}, which can't be written to ({error.strerror})") from None


def run(pack: Pack) -> int:
    """Run the pack; return the exit code: 0 after a graceful end, 1 when the server refused it, 2 for bad settings."""
    try:
        start_logging()
        pack.run()
    except FlyteError as error:
        print(f"{pack.name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    return 0
