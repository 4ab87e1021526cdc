"""A directory that is searched: LDAP, version 3 (RFC 4511), as far as a search needs it.

The libraries that are kept up (python-ldap, bonsai) come as sources, for a compiler and OpenLDAP's headers; of those
that need neither, ldap3 and ldaptor had their last release in 2021. So the pack speaks what a search needs by itself.
"""

import math
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flyte_client.packs.ldap import ber
from flyte_client.packs.ldap.settings import Server

LARGEST_ANSWER = 8 * 1024 * 1024
CHUNK = 65536
LONGEST_WORDS = 500
BIND, BOUND, UNBIND, SEARCH, ENTRY, REFERENCE, DONE, EXTENDED, ANSWERED = (
    *(0x60, 0x61, 0x42, 0x63, 0x64, 0x73, 0x65),
    *(0x77, 0x78),
)
START_TLS = "1.3.6.1.4.1.1466.20037"
SCOPES = {"base": 0, "one": 1, "sub": 2}
NEVER_DEREFERENCE = 0
SUCCESS, TIME_LIMIT, SIZE_LIMIT = 0, 3, 4
# RFC 4511, appendix A: what is not said of the request, but of the server and the moment.
TEMPORARY = frozenset({TIME_LIMIT, 51, 52})
MEANINGS = {
    3: "the time limit was reached",
    8: "the server wants stronger authentication",
    10: "the server refers to another one",
    32: "there is no such entry",
    49: "the name or the password is wrong",
    50: "this is not allowed",
    51: "the server is busy",
    52: "the server is not available",
}


class DirectoryError(Exception):
    """The search was not done; `temporary` where it may do good to try again later."""

    def __init__(self, reason: str, *, temporary: bool = False) -> None:
        super().__init__(reason[:LONGEST_WORDS])
        self.temporary = temporary


@dataclass(frozen=True)
class Search:
    """`condition` is an encoded filter; at most `limit` entries are given."""

    base: str
    scope: str
    condition: bytes
    attributes: Sequence[str]
    limit: int


@dataclass(frozen=True)
class Found:
    """Entries as their names, each with its attributes' values; not `complete` where there are more than the limit."""

    entries: Sequence[tuple[str, Mapping[str, Sequence[bytes]]]]
    complete: bool


def search(server: Server, wanted: Search) -> Found:
    """Connect, sign in, search; all of it within the server's timeout. Raises `DirectoryError`."""
    connection = _Connection(server)
    try:
        connection.open()
        connection.log_in()
        return connection.search(wanted)
    except ber.BerError as error:
        raise DirectoryError(f"the answer is no LDAP: {error}") from None
    except ssl.SSLError as error:
        raise DirectoryError(f"TLS failed: {error}") from None
    except (OSError, EOFError) as error:
        raise DirectoryError(f"{server.host} can't be reached: {error}", temporary=True) from None
    finally:
        connection.close()


class _Connection:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._deadline = time.monotonic() + server.timeout
        self._socket: socket.socket | None = None
        self._unread = b""
        self._last_id = 0
        self._read = 0

    def open(self) -> None:
        self._socket = socket.create_connection((self._server.host, self._server.port), timeout=self._left())
        if self._server.security == "starttls":
            self._send(ber.element(EXTENDED, ber.octets(START_TLS, 0x80)))
            self._result(self._answer(ANSWERED))
            if self._unread:
                raise ber.BerError("something came before TLS that was not asked for")
        if self._server.security != "none":
            context = ssl.create_default_context()
            self._socket.settimeout(self._left())
            self._socket = context.wrap_socket(self._socket, server_hostname=self._server.host)

    def log_in(self) -> None:
        """As nobody where no user is set."""
        password = ber.octets(self._server.password, 0x80)
        self._send(ber.element(BIND, ber.number(3), ber.octets(self._server.user), password))
        self._result(self._answer(BOUND))

    def search(self, wanted: Search) -> Found:
        self._send(_request(wanted, math.ceil(self._left())))
        entries: list[tuple[str, Mapping[str, Sequence[bytes]]]] = []
        while True:
            tag, content = self._message()
            if tag == ENTRY and len(entries) < wanted.limit:
                entries.append(_entry(content))
            elif tag == ENTRY:
                return Found(entries, complete=False)  # it does not heed the limit that was sent
            elif tag == DONE:
                return Found(entries, complete=self._result(content, SIZE_LIMIT) == SUCCESS)
            elif tag != REFERENCE:
                raise ber.BerError(f"an unexpected message {tag:#x}")

    def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._send(ber.element(UNBIND))
            self._socket.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no answer in {self._server.timeout:g} seconds")
        return left

    def _send(self, operation: bytes) -> None:
        self._last_id += 1
        assert self._socket is not None  # noqa: S101 - opened before
        self._socket.settimeout(self._left())
        self._socket.sendall(ber.element(ber.SEQUENCE, ber.number(self._last_id), operation))

    def _answer(self, wanted: int) -> bytes:
        tag, content = self._message()
        if tag != wanted:
            raise ber.BerError(f"an unexpected message {tag:#x}")
        return content

    def _message(self) -> tuple[int, bytes]:
        """The operation in the next message for the request that was sent last."""
        while (found := ber.header(self._unread)) is None or len(self._unread) < found[2]:
            if self._unread and self._unread[0] != ber.SEQUENCE:
                raise ber.BerError("what begins like no message")
            if found and found[2] > LARGEST_ANSWER:
                raise ber.BerError("a message that is too large")
            self._receive()
        tag, start, end = found
        content, self._unread = self._unread[start:end], self._unread[end:]
        parts = list(ber.elements(content))
        if tag != ber.SEQUENCE or len(parts) < 2 or ber.integer(parts[0][1]) != self._last_id:
            raise DirectoryError(_notice(parts), temporary=True)
        return parts[1]

    def _receive(self) -> None:
        assert self._socket is not None  # noqa: S101 - opened before
        self._socket.settimeout(self._left())
        chunk = self._socket.recv(CHUNK)
        self._read += len(chunk)
        if not chunk:
            raise EOFError("it hung up")
        if self._read > LARGEST_ANSWER:
            raise DirectoryError(f"the answer is larger than {LARGEST_ANSWER} bytes: ask for less")
        self._unread += chunk

    def _result(self, content: bytes, fine: int = SUCCESS) -> int:
        parts = list(ber.elements(content))
        if len(parts) < 3:
            raise ber.BerError("a result that is cut off")
        code = ber.integer(parts[0][1])
        if code not in (SUCCESS, fine):
            said = " ".join(parts[2][1].decode(errors="replace").split())
            meaning = MEANINGS.get(code, f"result code {code}")
            raise DirectoryError(f"{meaning} ({said})" if said else meaning, temporary=code in TEMPORARY)
        return code


def _request(wanted: Search, seconds: int) -> bytes:
    return ber.element(
        SEARCH,
        ber.octets(wanted.base),
        ber.number(SCOPES[wanted.scope], ber.ENUMERATED),
        ber.number(NEVER_DEREFERENCE, ber.ENUMERATED),
        ber.number(wanted.limit),
        ber.number(seconds),
        ber.boolean(False),
        wanted.condition,
        ber.element(ber.SEQUENCE, *(ber.octets(name) for name in wanted.attributes)),
    )


def _entry(content: bytes) -> tuple[str, Mapping[str, Sequence[bytes]]]:
    parts = list(ber.elements(content))
    if len(parts) < 2:
        raise ber.BerError("an entry that is cut off")
    attributes = {}
    for _, attribute in ber.elements(parts[1][1]):
        name, values = _pair(attribute)
        attributes[name] = values
    return parts[0][1].decode(errors="replace"), attributes


def _pair(attribute: bytes) -> tuple[str, Sequence[bytes]]:
    parts = list(ber.elements(attribute))
    if len(parts) != 2:
        raise ber.BerError("an attribute that is cut off")
    return parts[0][1].decode(errors="replace"), [value for _, value in ber.elements(parts[1][1])]


def _notice(parts: Sequence[tuple[int, Any]]) -> str:
    """A message that was not asked for: before it hangs up, a server may say why (RFC 4511, section 4.4.1)."""
    if len(parts) > 1 and parts[1][0] == ANSWERED:
        return "the server has hung up"
    return "the server answered something that was not asked"
