"""The connection on which polls wait at the server, and how another thread ends the waiting."""

import os
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any


class PollConnection:
    """Knows the connection that is used now. Only one call at a time may use it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note a new connection; goes into httpx as the request's extension `trace`."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")

    def abort(self, *, immediately: bool = False) -> None:
        """Tell the server that no more calls come: it answers the one that waits, which is then read as any other.

        So an action that it gives in this very moment is not lost. `at_once` does not wait for that.
        """
        if self._socket is None:
            return
        # On a second descriptor: TLS on the first one, in the middle of a read, must not notice.
        with suppress(OSError), closing(socket.socket(fileno=os.dup(self._socket.fileno()))) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR if immediately else socket.SHUT_WR)
