"""Sockets that systemd listens on and passes to the server (sd_listen_fds(3)).

While the server is restarted, new connections wait in the queue of the socket, so they are not refused.
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import closing

from django.conf import settings

from flyte_site.core.environment import is_loopback

FIRST_FD = 3
_PID, _COUNT = "LISTEN_PID", "LISTEN_FDS"


def find_inherited_sockets(environment: MutableMapping[str, str] = os.environ) -> tuple[int, ...]:
    """Return the file descriptors of the sockets that were passed to this process, or to `manage.py run` above it."""
    if environment.get(_PID) not in (str(os.getpid()), str(os.getppid())):
        return ()
    return tuple(range(FIRST_FD, FIRST_FD + int(environment.get(_COUNT, "0"))))


def take_inherited_sockets(environment: MutableMapping[str, str] = os.environ) -> tuple[int, ...]:
    """Return the file descriptors, and remove them from the environment: processes started later do not have them."""
    inherited = find_inherited_sockets(environment)
    for name in (_PID, _COUNT, "LISTEN_FDNAMES"):
        environment.pop(name, None)
    return inherited


def find_inherited_socket_error(fd: int) -> str:
    """Return an error if the socket's address is not that of the settings, which the checks of access rely on."""
    with closing(socket.socket(fileno=os.dup(fd))) as inherited:
        address = inherited.getsockname()
    if not isinstance(address, tuple):
        return f"FLYTE_BIND: the socket that was passed listens on {address!r}; only TCP is supported"
    host, port = address[:2]
    if port != settings.FLYTE_PORT:
        return f"FLYTE_PORT: the socket that was passed listens on port {port}; set FLYTE_PORT={port}"
    if is_loopback(settings.FLYTE_BIND) and not is_loopback(host):
        return f"FLYTE_BIND: the socket that was passed listens on {host}; set FLYTE_BIND={host}"
    return ""
