"""Sockets that systemd passes: which process uses them, and which addresses are rejected."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from flyte_site.management.commands.serve import find_bind_error
from flyte_site.server.inherited_sockets import (
    find_inherited_socket_error,
    find_inherited_sockets,
    take_inherited_sockets,
)

pytestmark = pytest.mark.unit


def test_this_process_or_the_supervisor_above_it_uses_them_and_no_other() -> None:
    for pid in (os.getpid(), os.getppid()):
        assert find_inherited_sockets({"LISTEN_PID": str(pid), "LISTEN_FDS": "2"}) == (3, 4)
    assert find_inherited_sockets({"LISTEN_PID": "1234567", "LISTEN_FDS": "2"}) == ()
    assert find_inherited_sockets({}) == ()


def test_processes_that_are_started_later_do_not_use_them() -> None:
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "TZ": "UTC"}
    assert take_inherited_sockets(environment) == (3,)
    assert environment == {"TZ": "UTC"}


def test_the_address_must_be_that_of_the_settings(settings: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as loopback, socket.create_server(("0.0.0.0", 0)) as network:
        settings.FLYTE_PORT, settings.FLYTE_BIND = loopback.getsockname()[1], "127.0.0.1"
        assert find_inherited_socket_error(loopback.fileno()) == ""
        assert "listens on port" in find_inherited_socket_error(network.fileno())
        settings.FLYTE_PORT = network.getsockname()[1]
        assert "listens on 0.0.0.0; set FLYTE_BIND=0.0.0.0" in find_inherited_socket_error(network.fileno())
        settings.FLYTE_BIND = "0.0.0.0"
        assert find_inherited_socket_error(network.fileno()) == ""
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "flyte.sock"))
        assert "only TCP is supported" in find_inherited_socket_error(local.fileno())


def test_an_address_that_the_settings_do_not_have_stops_the_start(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as loopback:
        monkeypatch.setattr("flyte_site.management.commands.serve.find_inherited_sockets", lambda: (loopback.fileno(),))
        settings.FLYTE_PORT = 1
        assert find_bind_error().startswith("FLYTE_PORT: the socket that was passed listens on port")
