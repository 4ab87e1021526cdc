"""The health page: content, status, and its isolation from the pack."""

import socket
import threading
import time
from typing import Any

import httpx
import pytest

from flyte_client import Health, Pack, SettingsError, settings
from tests.private_postgres import free_port

from .conftest import Running, Start
from .stub_server import PATIENCE, StubServer

pytestmark = pytest.mark.integration


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> str:
    port = free_port()
    monkeypatch.setenv("FLYTE_HEALTH_PORT", str(port))
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def pack(stub: StubServer) -> Pack:
    return Pack("News", api_url=stub.url)


def get(page: str, path: str = "/") -> tuple[int, Any]:
    answer = httpx.get(f"{page}{path}", timeout=PATIENCE, trust_env=False)
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/", "/health", "/any?thing"])
def test_every_path_shows_all_checks(stub: StubServer, running: Running, pack: Pack, page: str, path: str) -> None:
    @pack.health_check("Some Check")
    def some() -> Health:
        return Health(True, {"queue": 3})

    with running(pack):
        stub.wait_for("packs")
        status, checks = get(page, path)
        assert httpx.head(page, trust_env=False).content == b""
    assert status == 200
    assert checks["Some Check"] == {"healthy": True, "status": {"queue": 3}}
    assert checks["Flyte"]["healthy"]
    assert checks["Flyte"]["status"].startswith("answered ")


def test_one_unhealthy_check_makes_the_status_500(stub: StubServer, running: Running, pack: Pack, page: str) -> None:
    pack.health_check("Good")(lambda: Health(True, "fine"))
    pack.health_check("Bad")(lambda: Health(False, "no disk"))
    with running(pack):
        stub.wait_for("packs")
        status, checks = get(page)
    assert status == 500
    assert (checks["Good"]["healthy"], checks["Bad"]) == (True, {"healthy": False, "status": "no disk"})


def test_a_check_that_fails_or_returns_no_json_is_unhealthy(
    stub: StubServer, running: Running, pack: Pack, page: str
) -> None:
    @pack.health_check("Broken")
    def broken() -> Health:
        raise RuntimeError("of its own")

    pack.health_check("Odd")(lambda: Health(True, object()))
    with running(pack):
        stub.wait_for("packs")
        status, checks = get(page)
    assert status == 500
    assert checks["Broken"] == {"healthy": False, "status": "RuntimeError: of its own"}
    assert not checks["Odd"]["healthy"]


def test_an_unreachable_server_is_reported_but_the_pack_stays_healthy(
    stub: StubServer, running: Running, pack: Pack, page: str
) -> None:
    stub.stop()
    with running(pack):
        deadline = time.monotonic() + PATIENCE
        while "can't reach" not in (check := read_flyte_check(page))["status"]:
            assert time.monotonic() < deadline, check
    assert check["healthy"]


def read_flyte_check(page: str) -> Any:
    try:
        return get(page)[1]["Flyte"]
    except httpx.ConnectError:
        return {"status": "the page is not there yet"}


def test_two_packs_with_one_port_both_work(
    stub: StubServer, running: Running, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(Pack("One", api_url=stub.url)):
        stub.wait_for("packs", name="One")
        get(page)
        with running(Pack("Two", api_url=stub.url)):
            stub.wait_for("packs", name="Two")
        assert get(page)[0] == 200
    assert len([record for record in caplog.records if "health_page_missing" in record.message]) == 1


def test_the_port_is_free_after_the_pack_has_ended_while_a_check_hangs(
    stub: StubServer, running: Running, pack: Pack, page: str
) -> None:
    called, released = threading.Event(), threading.Event()

    @pack.health_check("Slow")
    def slow() -> Health:
        called.set()
        released.wait(PATIENCE)
        return Health(True)

    with running(pack), socket.socket() as caller:
        stub.wait_for("packs")
        caller.connect(("127.0.0.1", int(page.rpartition(":")[2])))
        caller.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert called.wait(PATIENCE)
    with pytest.raises(httpx.ConnectError):
        httpx.get(page, trust_env=False)
    released.set()


def test_a_silent_client_blocks_no_other(stub: StubServer, running: Running, pack: Pack, page: str) -> None:
    with running(pack), socket.socket() as silent:
        stub.wait_for("packs")
        silent.connect(("127.0.0.1", int(page.rpartition(":")[2])))
        assert get(page)[0] == 200


def test_without_a_port_there_is_no_page(stub: StubServer, running: Running, pack: Pack) -> None:
    with running(pack):
        stub.wait_for("packs")
        assert [thread for thread in threading.enumerate() if thread.name == "health"] == []


@pytest.mark.parametrize("port", ["0", "65536", "-1", "soon", "²"])
def test_an_invalid_port_is_reported(start: Start, port: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_HEALTH_PORT: "):
        settings.read_health_address({"FLYTE_HEALTH_PORT": port})


def test_the_address_is_all_addresses_or_the_one_that_is_set() -> None:
    assert settings.read_health_address({"FLYTE_HEALTH_PORT": "8090"}) == ("0.0.0.0", 8090)
    assert settings.read_health_address({"FLYTE_HEALTH_PORT": "8090", "FLYTE_HEALTH_BIND": "::1"}) == ("::1", 8090)
    assert settings.read_health_address({"FLYTE_HEALTH_PORT": ""}) is None
