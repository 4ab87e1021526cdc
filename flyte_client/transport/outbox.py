"""Delivery of events and results, which are kept in the spool, if configured, until the server accepts them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx

from flyte_client.errors import RefusedError, RegistrationRefusedError, ServerAwayError
from flyte_client.transport.retry import Shutdown, backoff
from flyte_client.transport.server import CONFLICT, NOT_FOUND, ServerClient
from flyte_client.transport.spool import Spool, SpooledMessage

logger = logging.getLogger(__name__)


class EventSink(Protocol):
    """Receiver of the events of `Pack.send`."""

    def post_event(self, body: bytes, key: str, within: float | None = None) -> bool: ...


class Outbox:
    """Delivery to `server`; messages that an earlier run left in the spool are sent first."""

    def __init__(self, server: ServerClient, spool: Spool | None, shutdown: Shutdown) -> None:
        self._server = server
        self._spool = spool
        self._shutdown = shutdown
        self._pending = list(spool.iter_messages()) if spool else []
        self._lock = threading.Lock()
        self._is_attempted = False
        self._thread: threading.Thread | None = None

    def post_event(self, body: bytes, key: str, within: float | None = None) -> bool:
        """Deliver an event as `ServerClient.post_event` does. With `within` it is not spooled: the caller retries."""
        if within is not None:
            return self._server.post_event(body, key, within)
        with self._spooled(SpooledMessage(body, key=key)):
            self.deliver_pending()
            return self._server.post_event(body, key)

    def post_result(self, url: httpx.URL, body: bytes) -> None:
        """Deliver a result as `ServerClient.post_result` does."""
        with self._spooled(SpooledMessage(body, url=str(url))):
            self._server.post_result(url, body)

    def deliver_pending(self) -> None:
        """Try once to deliver messages of an earlier run. Raises what `ServerClient.ensure_registered` does."""
        if not self._pending:
            return
        self._server.ensure_registered()
        with self._lock:
            if not self._is_attempted:
                self._is_attempted = True
                self._attempt_pending()

    def start_redelivery(self) -> None:
        """Retry messages that were not delivered at the first attempt, in a thread."""
        if self._pending:
            self._thread = threading.Thread(target=self._redeliver, name="outbox", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for redelivery to stop and close the spool. Call this after the shutdown request."""
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
                    unreachable_hosts.add(host)  # other messages for this host would time out too
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
        """Keep the message in the spool while the block runs, and after it unless the server decided."""
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
    """Return True if the same delivery can never succeed. After other errors (an expired token) it may later."""
    is_decided = error.is_permanent or error.status in (NOT_FOUND, CONFLICT)
    return is_decided and not isinstance(error, RegistrationRefusedError)
