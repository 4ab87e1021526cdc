"""A small disk that can be filled: a tmpfs, which only root can mount."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from tests import processes

SIZE = "512m"
CHUNK_BYTES = 1024 * 1024


def can_mount() -> bool:
    """Return True if this process can probably mount a disk."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@dataclass
class SmallDisk:
    """A mounted disk."""

    path: Path

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    def fill(self) -> None:
        """Use all free space of the disk, down to the last page."""
        with self._filler.open("ab", buffering=0) as file:
            size = CHUNK_BYTES
            while size >= 1:
                try:
                    file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 16

    def free(self) -> None:
        """Free the space that `fill` has used."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    """Mount a small disk while the block runs. Everybody can write to it."""
    path.mkdir()
    processes.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=1777", "tmpfs", path], check=True)
    try:
        yield SmallDisk(path)
    finally:
        processes.run(["umount", "--lazy", path])
        with suppress(OSError):
            path.rmdir()


def move_database(cluster_url: str, disk: SmallDisk, owner: int) -> None:
    """Move PostgreSQL's database `flyte`, which nobody uses yet, to the disk; its log stays where it is."""
    folder = disk.path / "postgresql"
    folder.mkdir(mode=0o700)
    os.chown(folder, owner, -1)
    with psycopg.connect(cluster_url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(folder))))
        connection.execute("ALTER DATABASE flyte SET TABLESPACE small")
