"""What a pack has to deliver: events and results, kept in the spool, where there is one, until the server has them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx

from flyte_client.errors import RefusedError, RegistrationRefusedError, ServerAwayError
from flyte_client.transport.retry import Shutdown, backoff
from flyte_client.transport.server import CONFLICT, NOT_FOUND, PERMANENT_ERRORS, ServerClient
from flyte_client.transport.spool import Spool, SpooledMessage

# After these the same delivery can never succeed. After others, a token that has expired, say, it may some day.
FINAL_STATUSES = PERMANENT_ERRORS | {NOT_FOUND, CONFLICT}

logger = logging.getLogger(__name__)


class EventSink(Protocol):
    """Where `Pack.send` gives its events."""

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None: ...


class Outbox:
    """Delivers to `server`; what an earlier run has left in the spool goes first."""

    def __init__(self, server: ServerClient, spool: Spool | None, shutdown: Shutdown) -> None:
        self._server = server
        self._spool = spool
        self._shutdown = shutdown
        self._pending = list(spool.iter_messages()) if spool else []
        self._lock = threading.Lock()
        self._is_attempted = False
        self._thread: threading.Thread | None = None

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None:
        """As `Server.post_event`. With `within` the spool has no part in it: who is told of a failure sends again."""
        if within is not None:
            self._server.post_event(body, key, within)
            return
        with self._spooled(SpooledMessage(body, key=key)):
            self.deliver_pending()
            self._server.post_event(body, key)

    def post_result(self, url: httpx.URL, body: bytes) -> None:
        """As `Server.post_result`."""
        with self._spooled(SpooledMessage(body, url=str(url))):
            self._server.post_result(url, body)

    def deliver_pending(self) -> None:
        """Try once to deliver what an earlier run has left. Raises what `Server.registration` does."""
        if not self._pending:
            return
        self._server.ensure_registered()
        with self._lock:
            if not self._is_attempted:
                self._is_attempted = True
                self._attempt_pending()

    def start_redelivery(self) -> None:
        """Go on, in a thread, with what was not delivered at the first attempt."""
        if self._pending:
            self._thread = threading.Thread(target=self._redeliver, name="outbox", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Called when the pack has been told to end and delivers no more."""
        if self._thread:
            self._thread.join()
        if self._spool:
            self._spool.close()

    def _redeliver(self) -> None:
        for delay in backoff():
            if not self._pending or not self._shutdown.wait_before_retry(delay):
                return
            self._attempt_pending()

    def _attempt_pending(self) -> None:
        unreachable_hosts: set[str] = set()
        for entry in list(self._pending):
            path, message = entry
            if (host := httpx.URL(message.url).host) not in unreachable_hosts:
                try:
                    self._deliver(message)
                except ServerAwayError as error:
                    unreachable_hosts.add(host)  # the others for it would only wait as long
                    logger.warning("server_away call=spooled reason=%r", str(error))
                    continue
                except RefusedError as error:
                    logger.error("spooled_refused file=%s reason=%r", path, str(error))
                    self._discard_if_final(path, error)
                else:
                    self._discard_if_final(path)
                    logger.info("spooled_delivered file=%s", path)
                self._pending.remove(entry)

    def _deliver(self, message: SpooledMessage) -> None:
        if message.key:
            self._server.post_event(message.body, message.key, within=0)
        else:
            self._server.post_result(httpx.URL(message.url), message.body, within=0)

    @contextmanager
    def _spooled(self, message: SpooledMessage) -> Iterator[None]:
        """In the spool for as long as the block runs, and longer where it ends without a decision of the server."""
        path = self._spool.add(message) if self._spool else None
        try:
            yield
        except RefusedError as error:
            self._discard_if_final(path, error)
            raise
        self._discard_if_final(path)

    def _discard_if_final(self, path: Path | None, error: RefusedError | None = None) -> None:
        if self._spool and path and (error is None or _is_final(error)):
            self._spool.remove(path)


def _is_final(error: RefusedError) -> bool:
    return error.status in FINAL_STATUSES and not isinstance(error, RegistrationRefusedError)
