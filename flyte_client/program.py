"""A pack as a program: logging to standard error, errors in one line, an exit code."""

import os
import sys

from flyte_client.errors import FlyteError, SettingsError
from flyte_client.logs import configure_logging
from flyte_client.pack import Pack


def run(pack: Pack) -> int:
    """Run the pack; return the exit code: 0 after a graceful stop, 1 if it was refused, 2 for invalid settings."""
    try:
        configure_logging(os.environ)
        pack.run()
    except FlyteError as error:
        print(f"{pack.name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    return 0
