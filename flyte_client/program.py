"""What every pack does as a program: log lines on standard error, one line for what can't work, an exit code."""

import os
import sys

from flyte_client.errors import FlyteError, SettingsError
from flyte_client.logs import configure_logging
from flyte_client.pack import Pack


def start_logging() -> None:
    """Log as the environment says. Raises `SettingsError` where it can't be done."""
    configure_logging(os.environ)


def run(pack: Pack) -> int:
    """Run the pack; return the exit code: 0 after a graceful end, 1 when the server refused it, 2 for bad settings."""
    try:
        start_logging()
        pack.run()
    except FlyteError as error:
        print(f"{pack.name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    return 0
