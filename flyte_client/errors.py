"""Exceptions of the client library; `FlyteError` is the base class of all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

# The sent document is itself at fault: invalid JSON, too large, or of an invalid form.
PERMANENT_ERROR_STATUSES = frozenset({400, 413, 422})


class FlyteError(Exception):
    """Base class of the library's exceptions."""


class SettingsError(FlyteError):
    """An invalid environment variable or argument; the message is one line and names it."""


class ServerAwayError(FlyteError):
    """A server that is unreachable or temporarily unavailable: a later retry may succeed.

    `retry_after` is the pause in seconds that the server asked for, or None. `status` is the HTTP status, 0 without a
    response.
    """

    def __init__(self, reason: str, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.status = status


class RefusedError(FlyteError):
    """A request that the server refused (a 4xx), or a response that is not from Flyte: a retry does not help.

    `status` is the HTTP status, `detail` the server's message if it sent one; `errors` are the errors in the input as
    the server reports them: `path`, `message`, and often `line` and `column`.
    """

    def __init__(self, status: int, detail: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(f"{status}: {detail}" if detail else str(status))
        self.status = status
        self.detail = detail
        self.errors = errors

    @property
    def is_permanent(self) -> bool:
        """True if the request itself is invalid or was already accepted: sending it again can never succeed.

        After other refusals, such as an expired token, the same request may succeed later.
        """
        return self.status in PERMANENT_ERROR_STATUSES


class RegistrationRefusedError(RefusedError):
    """A registration that the server refused; it did not process the request that needed the registration."""
