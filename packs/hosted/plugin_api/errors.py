"""Errors of a plugin, by their handling.

Any other exception is a system failure: the call is retried, up to `caching.maxSystemFailures`.
"""

from typing import Any


class UserFailure(Exception):  # noqa: N818
    """The request can't succeed, however often it is retried: the action ends with this event.

    With the default event `FATAL` it is retried if the step has retries, as with any pack.
    """

    def __init__(self, message: str, *, event: str = "FATAL", payload: Any = None) -> None:
        super().__init__(message)
        self.event = event
        self.payload = {"message": message} if payload is None else payload


class Throttled(Exception):  # noqa: N818
    """The service requests fewer calls. Not a system failure, but counted; all calls of this kind pause.

    `retry_after`: the pause in seconds that the service requested, 0 if it did not.
    """

    def __init__(self, message: str = "throttled", *, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SystemFailure(Exception):  # noqa: N818
    """The service was unreachable or had an internal error. The operator and the flow see the message."""
