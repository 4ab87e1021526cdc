"""TLS: the certificate, which can be reloaded while the server runs, and clients that send plain HTTP."""

import json
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

# As RFC 9325 requires. Ciphers and curves are OpenSSL's defaults.
MIN_TLS_VERSION = ssl.TLSVersion.TLSv1_2


_FIRST_BYTES = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) ")
_MAX_FIRST_BYTES = 8
_DRAIN_SECONDS, _DRAIN_BYTES = 1.0, 65_536
_PROBLEM = json.dumps(
    {"title": "Bad Request", "status": 400, "detail": "this port serves HTTPS: use https:// instead of http://"}
).encode()
_PLAIN_HTTP_RESPONSE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_PROBLEM), _PROBLEM)
)


def answer_plain_http(connection: socket.socket) -> bool:
    """Answer a client that sends HTTP to the TLS port; return False, and read nothing, if it does not.

    Data must be available. Without an answer the client would report an empty response.
    """
    if not _FIRST_BYTES.match(connection.recv(_MAX_FIRST_BYTES, socket.MSG_PEEK)):
        return False
    connection.settimeout(_DRAIN_SECONDS)
    with suppress(OSError):
        connection.sendall(_PLAIN_HTTP_RESPONSE)
        connection.shutdown(socket.SHUT_WR)
        # Unread data at the close would reset the connection before the client has read the answer.
        connection.recv(_DRAIN_BYTES)
    return True


@dataclass
class ReloadableCertificate:
    """A certificate and its key in PEM files. New connections use `context`."""

    certificate_path: str
    key_path: str
    context: ssl.SSLContext | None = None

    def load(self) -> bool:
        """Load or reload the files; existing connections continue. Return False if the files are invalid.

        Call it before forking, so that children don't depend on the files at their start.
        """
        try:
            self.context = self._build_context()
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            log.error("certificate_not_read", error=str(error))
            return False
        log.info("certificate_read")
        return True

    def _build_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = MIN_TLS_VERSION
        # Without a password argument, OpenSSL would prompt for the password of an encrypted key on the terminal.
        context.load_cert_chain(self.certificate_path, self.key_path, password="")
        return context
