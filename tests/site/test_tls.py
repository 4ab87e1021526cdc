"""HTTPS: TLS versions, and renewal of the certificate while the server runs."""

import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.jobs.processes import PATIENCE, Running, running, wait_until
from tests.private_postgres import free_port
from tests.server import migrated_database, server_environment

pytestmark = pytest.mark.acceptance

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
# The first bytes of a record of TLS with a ClientHello.
HANDSHAKE_START = b"\x16\x03\x01\x02\x00\x01"


@dataclass
class Secure:
    """A server with TLS, and the files of its certificate."""

    run: Running
    port: int
    certificate: Path
    key: Path

    def show(self, authority: trustme.CA) -> None:
        """Replace the certificate and its key atomically, as a renewal tool does."""
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(self.key) + ".new")
        issued.cert_chain_pems[0].write_to_path(str(self.certificate) + ".new")
        os.replace(str(self.key) + ".new", self.key)
        os.replace(str(self.certificate) + ".new", self.certificate)

    def connect(self, authority: trustme.CA, **options: ssl.TLSVersion) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts only this authority
        authority.configure_trust(context)
        for name, value in options.items():
            setattr(context, name, value)
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return context.wrap_socket(plain, server_hostname="localhost")

    def accepts(self, authority: trustme.CA) -> bool:
        """Return True if the server presents a certificate of this authority to a new connection."""
        try:
            with self.connect(authority) as connection:
                return asked(connection)
        except ssl.SSLCertVerificationError:
            return False


def asked(connection: ssl.SSLSocket) -> bool:
    connection.sendall(REQUEST)
    return connection.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.fixture(scope="module")
def first() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["serve", "run"])
def secure(request: pytest.FixtureRequest, tmp_path: Path, first: trustme.CA) -> Iterator[Secure]:
    """Start a server with a certificate of the first authority."""
    port, certificate, key = free_port(), tmp_path / "certificate.pem", tmp_path / "key.pem"
    variables = {
        "FLYTE_PORT": str(port),
        "FLYTE_TLS_CERT_PATH": str(certificate),
        "FLYTE_TLS_KEY_PATH": str(key),
        "FLYTE_WEB_WORKERS": "2",
        "FLYTE_WEB_THREADS": "8",
        "FLYTE_HEADER_TIMEOUT_SECONDS": "60",
    }
    with migrated_database(tmp_path) as url:
        environment = server_environment(url, variables)
        waiting = Secure(None, port, certificate, key)  # type: ignore[arg-type]
        waiting.show(first)
        with running(tmp_path, environment, request.param) as started:
            server = Secure(started, port, certificate, key)
            wait_until(lambda: is_up(server, first), started.log)
            yield server


def is_up(secure: Secure, authority: trustme.CA) -> bool:
    try:
        return secure.accepts(authority)
    except OSError:
        return False


def test_plain_http_is_answered_with_a_sentence(secure: Secure, first: trustme.CA) -> None:
    """Send a whole request, the first byte after a pause, and more than the server reads."""
    for request, pause in ((REQUEST, 0.0), (REQUEST, 0.3), (b"POST /v1/flows HTTP/1.1\r\n\r\n" + b"x" * 300_000, 0.0)):
        with socket.create_connection(("127.0.0.1", secure.port), PATIENCE) as connection:
            time.sleep(pause)
            with suppress(ConnectionError):
                connection.sendall(request)
            answer = connection.makefile("rb").readline() if len(request) > 100_000 else connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            if len(request) < 100_000:
                assert b'"detail": "this port serves HTTPS: use https:// instead of http://"' in answer
    with secure.connect(first) as connection:
        assert asked(connection)


@pytest.mark.parametrize("secure", ["serve"], indirect=True)
def test_clients_use_no_thread_before_the_handshake_and_before_a_request(secure: Secure, first: trustme.CA) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", secure.port), PATIENCE))
            plain.sendall(HANDSHAKE_START)
            stack.enter_context(secure.connect(first)).sendall(REQUEST[:-2])
        connection = stack.enter_context(secure.connect(first))
        for end in range(1, len(REQUEST) + 1, 7):
            connection.sendall(REQUEST[end - 1 : end + 6])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(REQUEST * 3)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            answers += connection.recv(65536)


def test_a_certificate_is_renewed_without_dropping_a_request(secure: Secure, first: trustme.CA) -> None:
    second = trustme.CA()
    failures: list[BaseException] = []
    stop = threading.Event()

    def send_requests() -> None:
        while not stop.is_set():
            try:
                if not (secure.accepts(first) or secure.accepts(second)):
                    failures.append(AssertionError("neither"))
            except OSError as error:
                failures.append(error)

    with secure.connect(first) as open_connection:
        assert asked(open_connection)
        sender = threading.Thread(target=send_requests)
        sender.start()
        secure.show(second)
        assert secure.accepts(first), "nothing changes before the signal"
        secure.run.process.send_signal(signal.SIGHUP)
        secure.run.wait_for("event=certificate_read", times=4)
        assert [secure.accepts(second) for _ in range(10)] == [True] * 10
        stop.set()
        sender.join()
        assert asked(open_connection), "an open connection continues"
    assert failures == []
    assert not secure.run.said("process_ended")


def test_invalid_files_change_nothing(secure: Secure, first: trustme.CA) -> None:
    secure.key.write_text("junk")
    secure.run.process.send_signal(signal.SIGHUP)
    secure.run.wait_for("event=certificate_not_read")
    assert secure.accepts(first)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_versions_before_1_2_are_refused(secure: Secure, first: trustme.CA) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with secure.connect(first, minimum_version=version, maximum_version=version) as connection:
            assert asked(connection)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            secure.connect(first, minimum_version=version, maximum_version=version)
