"""The spool: a folder with undelivered messages, which survive a restart of the pack."""

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
# In seconds. After that time the action has timed out, and a server that only failed so far will not recover.
MAX_RESULT_AGE = 7 * 24 * 60 * 60.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpooledMessage:
    """An undelivered result, with its action's address in `url`, or an event, with its idempotency key in `key`."""

    body: bytes
    url: str = ""
    key: str = ""


class Spool:
    """A folder in `root` for one process; its name is derived from the pack's name and labels.

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
            raise SettingsError(
                f"FLYTE_SPOOL: {self._folder} is in use by another process; set a different folder"
            ) from None
        except OSError as error:
            raise SettingsError(f"FLYTE_SPOOL: can't use {self._folder} ({error.strerror})") from None

    def add(self, message: SpooledMessage) -> Path | None:
        """Write the message to disk; return None if that fails: it is then delivered without the spool."""
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
        except OSError as error:  # the message is delivered again at the next start, and counts once
            logger.error("spool_failed folder=%s reason=%r", self._folder, str(error))

    def iter_messages(self) -> Iterator[tuple[Path, SpooledMessage]]:
        """Yield the messages, oldest first. Remove results that are too old; log unreadable files and keep them."""
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
        """Release the folder for other processes."""
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
