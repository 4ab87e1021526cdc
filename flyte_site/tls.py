"""The certificate that the server shows, which can be renewed while it serves."""

import ssl
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

# What RFC 9325 asks for. Ciphers and curves are OpenSSL's own choice, which is renewed with it.
LEAST_VERSION = ssl.TLSVersion.TLSv1_2


@dataclass
class Certificate:
    """A certificate and its key, from files in PEM. Each process has one, read anew when it is told to."""

    certificate_path: str
    key_path: str
    _context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """What new connections are made with."""
        if self._context is None:
            self._context = self._read()
        return self._context

    def reload(self) -> None:
        """Reads the files again; what is under way goes on as it is. Where they can't be used nothing changes."""
        try:
            self._context = self._read()
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            log.error("certificate_not_reloaded", error=str(error))
            return
        log.info("certificate_reloaded")

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = LEAST_VERSION
        # Without a password given here a key that is encrypted would ask the terminal for one.
        context.load_cert_chain(self.certificate_path, self.key_path, password="")
        return context
