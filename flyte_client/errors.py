"""What can go wrong between a pack and the server; whoever catches `FlyteError` catches all of it."""

from collections.abc import Mapping, Sequence
from typing import Any


class FlyteError(Exception):
    """Anything that this library raises on its own account."""


class SettingsError(FlyteError):
    """An environment variable or argument that can't be used; the text is one line and names it."""


class ServerAwayError(FlyteError):
    """The server can't be reached or can't answer now: trying again later makes sense.

    `retry_after` is what the server asked for, in seconds, or None where it asked for nothing. `status` is the HTTP
    status, 0 where nothing answered.
    """

    def __init__(self, reason: str, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.status = status


class RefusedError(FlyteError):
    """The server answered and said no (a 4xx, or something that is no Flyte answer): trying again changes nothing.

    `status` is the HTTP status, `detail` the server's own words where it gave any; `errors` are the places of the input
    that it found at fault, as the server tells them: `path`, `message`, and often `line` and `column`.
    """

    def __init__(self, status: int, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(f"{status}: {detail}" if detail else str(status))
        self.status = status
        self.detail = detail
        self.errors = errors


class RegistrationRefusedError(RefusedError):
    """The server did not accept the pack itself, so that it has not judged anything that the pack wanted of it."""
