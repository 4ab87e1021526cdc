"""What the demos' stand-ins for services of the outside share: each is a program that serves until it is stopped."""

import signal
import socketserver
import sys
from types import FrameType

HOST = "127.0.0.1"


def serve(server: socketserver.TCPServer, address: str) -> None:
    """Print `address`, where `{port}` is the server's own, and answer there until SIGTERM."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    print(address.format(port=server.server_address[1]), flush=True)
    server.serve_forever()
