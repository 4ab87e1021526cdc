"""LDAP client, version 3 (RFC 4511), for searches only.

The maintained libraries (python-ldap, bonsai) require a compiler and OpenLDAP's headers; the pure Python ones (ldap3,
ldaptor) had their last release in 2021. So the pack implements the small part of the protocol that a search needs.
"""

import math
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flyte_client.packs.common.errors import ServiceError
from flyte_client.packs.ldap import ber
from flyte_client.packs.ldap.settings import LdapServer

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
CHUNK_SIZE = 65536
(
    BIND_REQUEST,
    BIND_RESPONSE,
    UNBIND_REQUEST,
    SEARCH_REQUEST,
    SEARCH_RESULT_ENTRY,
    SEARCH_RESULT_REFERENCE,
    SEARCH_RESULT_DONE,
    EXTENDED_REQUEST,
    EXTENDED_RESPONSE,
) = (
    *(0x60, 0x61, 0x42, 0x63, 0x64, 0x73, 0x65),
    *(0x77, 0x78),
)
START_TLS_OID = "1.3.6.1.4.1.1466.20037"
SCOPES = {"base": 0, "one": 1, "sub": 2}
NEVER_DEREF_ALIASES = 0
SUCCESS, TIME_LIMIT_EXCEEDED, SIZE_LIMIT_EXCEEDED = 0, 3, 4
# RFC 4511, appendix A: results that depend on the server's current state, not on the request.
TEMPORARY_CODES = frozenset({TIME_LIMIT_EXCEEDED, 51, 52})
RESULT_MESSAGES = {
    3: "time limit exceeded",
    8: "the server requires stronger authentication",
    10: "the server refers to a different server",
    32: "entry not found",
    49: "invalid username or password",
    50: "not allowed",
    51: "the server is busy",
    52: "the server is not available",
}


class DirectoryError(ServiceError):
    """A failed search."""


@dataclass(frozen=True)
class LdapSearch:
    """A search for at most `limit` entries."""

    base: str
    scope: str
    encoded_filter: bytes
    attributes: Sequence[str]
    limit: int


@dataclass(frozen=True)
class LdapSearchResult:
    """Entries as DN and attributes; `complete` is False if there are more than the limit."""

    entries: Sequence[tuple[str, Mapping[str, Sequence[bytes]]]]
    complete: bool


def run_search(server: LdapServer, search: LdapSearch) -> LdapSearchResult:
    """Connect, bind and search within the configured timeout. Raises `DirectoryError`."""
    connection = _LdapConnection(server)
    try:
        connection.open()
        connection.bind()
        return connection.search(search)
    except ber.BerError as error:
        raise DirectoryError(f"invalid LDAP response: {error}") from None
    except ssl.SSLError as error:
        raise DirectoryError(f"TLS failed: {error}") from None
    except (OSError, EOFError) as error:
        raise DirectoryError(f"{server.host} is unreachable: {error}", temporary=True) from None
    finally:
        connection.close()


class _LdapConnection:
    def __init__(self, server: LdapServer) -> None:
        self._server = server
        self._deadline = time.monotonic() + server.timeout
        self._socket: socket.socket | None = None
        self._unread = b""
        self._last_message_id = 0
        self._bytes_read = 0

    def open(self) -> None:
        self._socket = socket.create_connection(
            (self._server.host, self._server.port), timeout=self._remaining_seconds()
        )
        if self._server.security == "starttls":
            self._send(ber.encode_element(EXTENDED_REQUEST, ber.encode_octets(START_TLS_OID, 0x80)))
            self._check_result(self._receive_response(EXTENDED_RESPONSE))
            if self._unread:
                raise ber.BerError("unexpected data before TLS")
        if self._server.security != "none":
            context = ssl.create_default_context()
            self._socket.settimeout(self._remaining_seconds())
            self._socket = context.wrap_socket(self._socket, server_hostname=self._server.host)

    def bind(self) -> None:
        """Bind with user and password, or anonymously without a user."""
        password = ber.encode_octets(self._server.password, 0x80)
        self._send(ber.encode_element(BIND_REQUEST, ber.encode_int(3), ber.encode_octets(self._server.user), password))
        self._check_result(self._receive_response(BIND_RESPONSE))

    def search(self, search: LdapSearch) -> LdapSearchResult:
        self._send(_encode_search(search, math.ceil(self._remaining_seconds())))
        entries: list[tuple[str, Mapping[str, Sequence[bytes]]]] = []
        while True:
            tag, content = self._receive_message()
            if tag == SEARCH_RESULT_ENTRY and len(entries) < search.limit:
                entries.append(_decode_entry(content))
            elif tag == SEARCH_RESULT_ENTRY:
                return LdapSearchResult(entries, complete=False)  # the server ignored the limit
            elif tag == SEARCH_RESULT_DONE:
                return LdapSearchResult(entries, complete=self._check_result(content, SIZE_LIMIT_EXCEEDED) == SUCCESS)
            elif tag != SEARCH_RESULT_REFERENCE:
                raise ber.BerError(f"unexpected message {tag:#x}")

    def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._send(ber.encode_element(UNBIND_REQUEST))
            self._socket.close()

    def _remaining_seconds(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f"no response within {self._server.timeout:g} seconds")
        return remaining

    def _send(self, operation: bytes) -> None:
        self._last_message_id += 1
        assert self._socket is not None  # noqa: S101 - opened before
        self._socket.settimeout(self._remaining_seconds())
        self._socket.sendall(ber.encode_element(ber.SEQUENCE, ber.encode_int(self._last_message_id), operation))

    def _receive_response(self, expected_tag: int) -> bytes:
        tag, content = self._receive_message()
        if tag != expected_tag:
            raise ber.BerError(f"unexpected message {tag:#x}")
        return content

    def _receive_message(self) -> tuple[int, bytes]:
        """Receive the next message for the last request; return its operation."""
        while (header := ber.read_header(self._unread)) is None or len(self._unread) < header[2]:
            if self._unread and self._unread[0] != ber.SEQUENCE:
                raise ber.BerError("invalid start of a message")
            if header and header[2] > MAX_RESPONSE_BYTES:
                raise ber.BerError("message too large")
            self._receive_chunk()
        tag, start, end = header
        content, self._unread = self._unread[start:end], self._unread[end:]
        parts = list(ber.iter_elements(content))
        if tag != ber.SEQUENCE or len(parts) < 2 or ber.decode_int(parts[0][1]) != self._last_message_id:
            raise DirectoryError(_describe_unsolicited(parts), temporary=True)
        return parts[1]

    def _receive_chunk(self) -> None:
        assert self._socket is not None  # noqa: S101 - opened before
        self._socket.settimeout(self._remaining_seconds())
        chunk = self._socket.recv(CHUNK_SIZE)
        self._bytes_read += len(chunk)
        if not chunk:
            raise EOFError("the server closed the connection")
        if self._bytes_read > MAX_RESPONSE_BYTES:
            raise DirectoryError(
                f"response too large, at most {MAX_RESPONSE_BYTES} bytes are allowed: request fewer entries"
            )
        self._unread += chunk

    def _check_result(self, content: bytes, allowed_code: int = SUCCESS) -> int:
        parts = list(ber.iter_elements(content))
        if len(parts) < 3:
            raise ber.BerError("truncated result")
        code = ber.decode_int(parts[0][1])
        if code not in (SUCCESS, allowed_code):
            diagnostic_message = " ".join(parts[2][1].decode(errors="replace").split())
            meaning = RESULT_MESSAGES.get(code, f"result code {code}")
            raise DirectoryError(
                f"{meaning} ({diagnostic_message})" if diagnostic_message else meaning,
                temporary=code in TEMPORARY_CODES,
            )
        return code


def _encode_search(search: LdapSearch, seconds: int) -> bytes:
    return ber.encode_element(
        SEARCH_REQUEST,
        ber.encode_octets(search.base),
        ber.encode_int(SCOPES[search.scope], ber.ENUMERATED),
        ber.encode_int(NEVER_DEREF_ALIASES, ber.ENUMERATED),
        ber.encode_int(search.limit),
        ber.encode_int(seconds),
        ber.encode_bool(False),
        search.encoded_filter,
        ber.encode_element(ber.SEQUENCE, *(ber.encode_octets(name) for name in search.attributes)),
    )


def _decode_entry(content: bytes) -> tuple[str, Mapping[str, Sequence[bytes]]]:
    parts = list(ber.iter_elements(content))
    if len(parts) < 2:
        raise ber.BerError("truncated entry")
    attributes = {}
    for _, attribute in ber.iter_elements(parts[1][1]):
        name, values = _decode_attribute(attribute)
        attributes[name] = values
    return parts[0][1].decode(errors="replace"), attributes


def _decode_attribute(attribute: bytes) -> tuple[str, Sequence[bytes]]:
    parts = list(ber.iter_elements(attribute))
    if len(parts) != 2:
        raise ber.BerError("truncated attribute")
    return parts[0][1].decode(errors="replace"), [value for _, value in ber.iter_elements(parts[1][1])]


def _describe_unsolicited(parts: Sequence[tuple[int, Any]]) -> str:
    """Describe an unsolicited message; a server may send one before it disconnects (RFC 4511, section 4.4.1)."""
    if len(parts) > 1 and parts[1][0] == EXTENDED_RESPONSE:
        return "the server closed the connection"
    return "unexpected message from the server"
