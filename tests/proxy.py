"""A reverse proxy in front of several servers: it assigns each new connection to the next server that accepts it.

It forwards bytes, so that the servers see the requested address in `Host`.
"""

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

CONNECT_SECONDS = 10.0
PIECE = 65536


class Proxy:
    """A proxy that forwards connections to `ports` of 127.0.0.1 in turn."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.passed = dict.fromkeys(ports, 0)
        self._turns = itertools.cycle(ports)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until the listener is shut down."""
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(caller,), daemon=True).start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass(self, caller: socket.socket) -> None:
        with caller:
            server = self._connected()
            if server is None:
                return
            with server:
                back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
                back.start()
                _pump(caller, server)
                back.join()

    def _connected(self) -> socket.socket | None:
        """Connect to the next server that accepts; return None if all refuse."""
        for port in itertools.islice(self._turns, len(self.passed)):
            with suppress(OSError):
                server = socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS)
                server.settimeout(None)
                self.passed[port] += 1
                return server
        return None


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Forward data and its end; shut down both connections if one breaks."""
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for connection in (source, target):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(*ports: int) -> Iterator[Proxy]:
    """Run a proxy while the block runs."""
    made = Proxy(ports)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.stop()
        thread.join()
