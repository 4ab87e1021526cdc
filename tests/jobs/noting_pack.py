"""A pack whose processes each write down what they did: `python -m tests.jobs.noting_pack FILE`."""

import sys
import time
from pathlib import Path
from typing import Any

from flyte_client import Event, Pack
from flyte_client.program import run

# So that a process is busy while others take.
WORK_SECONDS = 0.02


def main(path: Path) -> int:
    pack = Pack("Noting")

    @pack.command("Do")
    def do(given: Any) -> Event:
        with path.open("a") as file:
            file.write(f"{given}\n")
        time.sleep(WORK_SECONDS)
        return Event("Done", {"did": given})

    return run(pack)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
