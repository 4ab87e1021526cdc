"""The connection of long polls, which another thread can end."""

import os
import socket
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any


class PollConnection:
    """The socket of the current poll. Only one call at a time may use it."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Record a new connection; passed to httpx as the request's extension `trace`."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")

    def abort(self, *, immediately: bool = False) -> None:
        """Close the sending side: the server then answers the waiting poll, and the response is read as usual.

        So an action that the server is just sending is not lost. `immediately` closes the connection without a
        response.
        """
        if self._socket is None:
            return
        # On a duplicate descriptor, because TLS may be in the middle of a read on the original one.
        with suppress(OSError), closing(socket.socket(fileno=os.dup(self._socket.fileno()))) as duplicate:
            duplicate.shutdown(socket.SHUT_RDWR if immediately else socket.SHUT_WR)
