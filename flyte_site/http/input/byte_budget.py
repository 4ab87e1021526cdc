"""A limit on the bytes of large request bodies that a process holds at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from flyte_site.http.problems import RETRY_AFTER_SECONDS, Problem

log = structlog.get_logger(__name__)


class ByteBudget:
    """The bytes that are reserved by requests in progress."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reserved = 0

    @contextmanager
    def reserve(self, size: int, limit: int) -> Iterator[None]:
        """Reserve bytes while the block runs. Raises `Problem` 503 if all reservations together would exceed the limit.

        The first one may exceed it, so that a limit below the size of a body does not reject this body for ever.
        """
        with self._lock:
            if self._reserved and self._reserved + size > limit:
                log.warning("bodies_refused", bytes=size, limit=limit)
                headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
                raise Problem(503, f"too many large bodies at the same time: over {limit} bytes", headers=headers)
            self._reserved += size
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= size


RESULT_BUDGET = ByteBudget()
