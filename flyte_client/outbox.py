"""What a pack has to deliver: events and results, kept in the spool, where there is one, until the server has them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx

from flyte_client.errors import RefusedError, RegistrationRefusedError, ServerAwayError
from flyte_client.patience import Stopping, growing_pauses
from flyte_client.server import CONFLICT, NOT_FOUND, UNFIT, Server
from flyte_client.spool import Parcel, Spool

# After these the same delivery can never succeed. After others, a token that has expired, say, it may some day.
FINAL = UNFIT | {NOT_FOUND, CONFLICT}

logger = logging.getLogger(__name__)


class Events(Protocol):
    """Where `Pack.send` gives its events."""

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None: ...


class Outbox:
    """Delivers to `server`; what an earlier run has left in the spool goes first."""

    def __init__(self, server: Server, spool: Spool | None, stopping: Stopping) -> None:
        self._server = server
        self._spool = spool
        self._stopping = stopping
        self._left = list(spool.parcels()) if spool else []
        self._lock = threading.Lock()
        self._tried = False
        self._thread: threading.Thread | None = None

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None:
        """As `Server.post_event`. With `within` the spool has no part in it: who is told of a failure sends again."""
        if within is not None:
            self._server.post_event(body, key, within)
            return
        with self._kept(Parcel(body, key=key)):
            self.deliver_left()
            self._server.post_event(body, key)

    def post_result(self, url: httpx.URL, body: bytes) -> None:
        """As `Server.post_result`."""
        with self._kept(Parcel(body, url=str(url))):
            self._server.post_result(url, body)

    def deliver_left(self) -> None:
        """Try once to deliver what an earlier run has left. Raises what `Server.registration` does."""
        if not self._left:
            return
        self._server.registration()
        with self._lock:
            if not self._tried:
                self._tried = True
                self._try_left()

    def go_on(self) -> None:
        """Go on, in a thread, with what was not delivered at the first attempt."""
        if self._left:
            self._thread = threading.Thread(target=self._deliver_rest, name="outbox", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Called when the pack has been told to end and delivers no more."""
        if self._thread:
            self._thread.join()
        if self._spool:
            self._spool.close()

    def _deliver_rest(self) -> None:
        for pause in growing_pauses():
            if not self._left or not self._stopping.pause(pause):
                return
            self._try_left()

    def _try_left(self) -> None:
        away: set[str] = set()
        for one in list(self._left):
            path, parcel = one
            if (host := httpx.URL(parcel.url).host) not in away:
                try:
                    self._deliver(parcel)
                except ServerAwayError as error:
                    away.add(host)  # the others for it would only wait as long
                    logger.warning("server_away call=spooled reason=%r", str(error))
                    continue
                except RefusedError as refusal:
                    logger.error("spooled_refused file=%s reason=%r", path, str(refusal))
                    self._settled(path, refusal)
                else:
                    self._settled(path)
                    logger.info("spooled_delivered file=%s", path)
                self._left.remove(one)

    def _deliver(self, parcel: Parcel) -> None:
        if parcel.key:
            self._server.post_event(parcel.body, parcel.key, within=0)
        else:
            self._server.post_result(httpx.URL(parcel.url), parcel.body, within=0)

    @contextmanager
    def _kept(self, parcel: Parcel) -> Iterator[None]:
        """In the spool for as long as the block runs, and longer where it ends without a decision of the server."""
        path = self._spool.keep(parcel) if self._spool else None
        try:
            yield
        except RefusedError as refusal:
            self._settled(path, refusal)
            raise
        self._settled(path)

    def _settled(self, path: Path | None, refusal: RefusedError | None = None) -> None:
        if self._spool and path and (refusal is None or _is_final(refusal)):
            self._spool.remove(path)


def _is_final(refusal: RefusedError) -> bool:
    return refusal.status in FINAL and not isinstance(refusal, RegistrationRefusedError)
