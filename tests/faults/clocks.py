"""Clocks that can be set: each machine of the soak has one, a file that a preloaded library reads (clock.c)."""

import os
import shutil
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import processes

# The name of the machine with the databases.
DATABASE = "database"
SOURCE = Path(__file__).with_name("clock.c")


def is_compiler_installed() -> bool:
    """Return True if the library can be compiled on this machine."""
    return shutil.which("cc") is not None


@dataclass
class MachineClock:
    """The clock of one machine: the difference to the system's clock is in the file."""

    library: Path
    path: Path

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the machine's processes."""
        return {"LD_PRELOAD": str(self.library), "FAULTS_CLOCK": str(self.path)}

    def set_offset(self, seconds: float) -> None:
        """Set the clock to the system's time plus `seconds`."""
        # Written in place: running processes have the file in their memory.
        with self.path.open("r+b") as file:
            file.write(struct.pack("=q", round(seconds * 1e9)))


def make_clocks(folder: Path, names: list[str]) -> dict[str, MachineClock]:
    """Compile the library, and create a clock for each machine. Every account can read them."""
    folder.mkdir()
    folder.chmod(0o755)
    library = folder / "clock.so"
    done = processes.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], env=dict(os.environ))
    if done.returncode:
        raise RuntimeError(f"cc failed to compile {SOURCE}")
    clocks = {}
    for name in names:
        path = folder / name
        path.write_bytes(bytes(8))
        clocks[name] = MachineClock(library, path)
    return clocks
