"""The spool: a folder that holds what is to be delivered until it is, so that it outlasts the pack's own end."""

import fcntl
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from flyte_client.errors import SettingsError
from flyte_client.transport import atomic_write

MAX_NAME_LENGTH = 200
# In seconds. Its action's time is long over by then; a server that has answered nothing else till then never will.
MAX_RESULT_AGE = 7 * 24 * 60 * 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpooledMessage:
    """A result goes to its action's address, `url`; an event, which has a `key`, to where the pack's events go."""

    body: bytes
    url: str = ""
    key: str = ""


class Spool:
    """One process's folder in `root`: each pack has one, by its name and labels.

    Raises `SettingsError` for a folder that can't be used, or that another process uses.
    """

    def __init__(self, root: Path, name: str, labels: Mapping[str, str]) -> None:
        self._folder = root / _build_folder_name(name, labels)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (self._folder / "lock").open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for unfinished in self._folder.glob(f"*{atomic_write.TEMPORARY_SUFFIX}"):
                unfinished.unlink()
        except BlockingIOError:
            raise SettingsError(f"FLYTE_SPOOL: another process uses {self._folder}; give each its own") from None
        except OSError as error:
            raise SettingsError(f"FLYTE_SPOOL: {self._folder} can't be used ({error.strerror})") from None

    def add(self, message: SpooledMessage) -> Path | None:
        """On the disk when this returns; None where the disk refuses it: then it is delivered without this."""
        path = self._folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}.parcel"
        header = asdict(message)
        body = header.pop("body")
        try:
            atomic_write.write_atomic(path, json.dumps(header).encode() + b"\n" + body)
        except OSError as error:
            logger.error("spool_failed folder=%s reason=%r", self._folder, str(error))
            return None
        return path

    def remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:  # it is delivered again at the next start, and counts once
            logger.error("spool_failed folder=%s reason=%r", self._folder, str(error))

    def iter_messages(self) -> Iterator[tuple[Path, SpooledMessage]]:
        """What is there, oldest first, but for results too old to count. What can't be read is logged and stays."""
        for path in sorted(self._folder.glob("*.parcel")):
            try:
                header, _, body = path.read_bytes().partition(b"\n")
                document = json.loads(header)
                message = SpooledMessage(body, str(document["url"]), str(document["key"]))
            except (OSError, ValueError, LookupError, TypeError) as error:
                logger.error("spool_unreadable file=%s reason=%r", path, str(error))
            else:
                if message.url and _message_age(path) > MAX_RESULT_AGE:
                    logger.error("spooled_result_too_old file=%s", path)
                    self.remove(path)
                else:
                    yield path, message

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock.close()


def _message_age(path: Path) -> float:
    try:
        return time.time() - int(path.name.partition("-")[0]) / 1e9
    except ValueError:
        return 0.0


def _build_folder_name(name: str, labels: Mapping[str, str]) -> str:
    full_name = quote(".".join([name, *(f"{key}={value}" for key, value in sorted(labels.items()))]), safe="=")
    if len(full_name) > MAX_NAME_LENGTH or full_name.startswith("."):
        return hashlib.sha256(full_name.encode()).hexdigest()
    return full_name
