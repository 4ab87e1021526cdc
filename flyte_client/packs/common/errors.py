"""Base class for failures of the systems that packs call."""

MAX_MESSAGE_LENGTH = 500


class ServiceError(Exception):
    """A failed call to another system; `temporary` is True if a later retry may succeed.

    The message is the other system's, if it sent one, cut to `MAX_MESSAGE_LENGTH`. It never contains our credentials.
    """

    def __init__(self, reason: str, *, temporary: bool = False) -> None:
        super().__init__(reason[:MAX_MESSAGE_LENGTH])
        self.temporary = temporary
