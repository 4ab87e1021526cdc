"""What can go wrong in a plugin, by what is to be done about it.

Anything else that a plugin raises is a system failure: it is tried again, up to `caching.maxSystemFailures`.
"""

from typing import Any


class UserFailure(Exception):  # noqa: N818
    """What was asked for can't be done, however often it is tried: the action ends with this event.

    `FATAL`, where no other event is named, is tried again where the step has retries, as with any pack.
    """

    def __init__(self, message: str, *, event: str = "FATAL", payload: Any = None) -> None:
        super().__init__(message)
        self.event = event
        self.payload = {"message": message} if payload is None else payload


class Throttled(Exception):  # noqa: N818
    """The service asks to be called less often. Counted, no system failure; all calls of its kind pause for a while.

    `retry_after`: seconds that the service asked for, 0 where it did not say.
    """

    def __init__(self, message: str = "throttled", *, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SystemFailure(Exception):  # noqa: N818
    """The service could not be reached or had a fault of its own; the message is for the operator and the flow."""
