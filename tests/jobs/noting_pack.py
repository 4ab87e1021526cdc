"""A pack that appends the input of each action to a file: `python -m tests.jobs.noting_pack FILE`."""

import sys
import time
from pathlib import Path
from typing import Any

from flyte_client import Event, Pack
from flyte_client.program import run

# Keeps a process busy while others take actions.
WORK_SECONDS = 0.02


def main(path: Path) -> int:
    pack = Pack("Noting")

    @pack.command("Do")
    def do(action_input: Any) -> Event:
        with path.open("a") as file:
            file.write(f"{action_input}\n")
        time.sleep(WORK_SECONDS)
        return Event("Done", {"did": action_input})

    return run(pack)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
