"""A local stub of a directory, which records its requests.

It speaks the real protocol, including TLS, but answers only with entries set by the test. `make test-slapd` tests the
pack with a real directory.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from flyte_client.packs.ldap import ber
from flyte_client.packs.ldap.directory import (
    BIND_REQUEST,
    BIND_RESPONSE,
    EXTENDED_REQUEST,
    EXTENDED_RESPONSE,
    SEARCH_REQUEST,
    SEARCH_RESULT_DONE,
    SEARCH_RESULT_ENTRY,
    UNBIND_REQUEST,
)


@dataclass
class Directory:
    """Responses of the stub: `code` is the result of a search, `raw` is sent before all responses, `silent` sends none.

    `premature` is sent unencrypted together with the response after which TLS begins.
    """

    port: int
    context: ssl.SSLContext | None = None
    user: str = "cn=flyte"
    password: str = "s3cret"
    entries: list[tuple[str, dict[str, list[bytes]]]] = field(default_factory=list)
    code: int = 0
    raw: bytes = b""
    premature: bytes = b""
    silent: bool = False
    searches: list[dict[str, object]] = field(default_factory=list)
    security: str = "none"

    @property
    def variables(self) -> dict[str, str]:
        settings = {
            "URL": f"ldap://127.0.0.1:{self.port}",
            "SECURITY": "none",
            "BASE_DN": "dc=example,dc=com",
            "BIND_USERNAME": self.user,
            "BIND_PASSWORD": self.password,
        }
        return {f"FLYTE_LDAP_{name}": value for name, value in settings.items()}

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        self.security = "none"
        with suppress(OSError, EOFError, ssl.SSLError):
            while not self.silent:
                number, tag, content = _message(connection)
                if tag == UNBIND_REQUEST:
                    return
                connection.sendall(self.raw)
                for answer in self._answers(tag, content):
                    more = self.premature if tag == EXTENDED_REQUEST else b""
                    connection.sendall(ber.encode_element(ber.SEQUENCE, ber.encode_int(number), answer) + more)
                if tag == EXTENDED_REQUEST and self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                    self.security = "starttls"
            threading.Event().wait(60)

    def _answers(self, tag: int, content: bytes) -> list[bytes]:
        parts = [value for _, value in ber.iter_elements(content)]
        if tag == EXTENDED_REQUEST:
            return [_result(EXTENDED_RESPONSE, 0 if self.context else 2)]
        if tag == BIND_REQUEST:
            fine = (parts[1].decode(), parts[2].decode()) == (self.user, self.password)
            return [_result(BIND_RESPONSE, 0 if fine else 49)]
        assert tag == SEARCH_REQUEST
        self.searches.append(
            {
                "base": parts[0].decode(),
                "scope": parts[1][0],
                "limit": ber.decode_int(parts[3]),
                "seconds": ber.decode_int(parts[4]),
                "filter": parts[6],
                "attributes": [value.decode() for _, value in ber.iter_elements(parts[7])],
                "security": self.security,
            }
        )
        return [*(_entry(dn, attributes) for dn, attributes in self.entries), _result(SEARCH_RESULT_DONE, self.code)]


def _message(connection: socket.socket) -> tuple[int, int, bytes]:
    data = b""
    while (header := ber.read_header(data)) is None or len(data) < header[2]:
        chunk = connection.recv(1 if header is None else header[2] - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    (_, number), (tag, content), *_ = ber.iter_elements(data[header[1] : header[2]])
    return ber.decode_int(number), tag, content


def _result(tag: int, code: int) -> bytes:
    words = ber.encode_octets("as the test says" if code else "")
    return ber.encode_element(tag, ber.encode_int(code, ber.ENUMERATED), ber.encode_octets(""), words)


def _entry(dn: str, attributes: dict[str, list[bytes]]) -> bytes:
    encoded = [
        ber.encode_element(
            ber.SEQUENCE, ber.encode_octets(name), ber.encode_element(ber.SET, *map(ber.encode_octets, values))
        )
        for name, values in attributes.items()
    ]
    return ber.encode_element(SEARCH_RESULT_ENTRY, ber.encode_octets(dn), ber.encode_element(ber.SEQUENCE, *encoded))


@contextmanager
def running_directory(certificate: Path | None = None) -> Iterator[Directory]:
    """Create a stub directory; with a certificate it supports STARTTLS."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        directory = Directory(listener.getsockname()[1], context)
        threading.Thread(target=directory.serve, args=(listener,), daemon=True).start()
        yield directory
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
