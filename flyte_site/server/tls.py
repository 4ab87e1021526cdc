"""TLS: the certificate, which can be reloaded while the server runs, and clients that send plain HTTP."""

import json
import re
import socket
import ssl
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

# As RFC 9325 requires. Ciphers and curves are OpenSSL's defaults.
MIN_TLS_VERSION = ssl.TLSVersion.TLSv1_2


_FIRST_BYTES = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE) ")
_MAX_FIRST_BYTES = 8
_PROBLEM = json.dumps(
    {"title": "Bad Request", "status": 400, "detail": "this port serves HTTPS: use https:// instead of http://"}
).encode()
PLAIN_HTTP_RESPONSE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_PROBLEM), _PROBLEM)
)


def is_plain_http(connection: socket.socket) -> bool:
    """Return True for a client that sends HTTP to the TLS port; read nothing. Raises `OSError`.

    Without `PLAIN_HTTP_RESPONSE`, the client would report an empty response.
    """
    return bool(_FIRST_BYTES.match(connection.recv(_MAX_FIRST_BYTES, socket.MSG_PEEK)))


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
