"""The certificate that the server shows, which can be renewed while it serves."""

import ssl
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

# What RFC 9325 asks for. Ciphers and curves are OpenSSL's own choice, which is renewed with it.
MIN_TLS_VERSION = ssl.TLSVersion.TLSv1_2


@dataclass
class ReloadableCertificate:
    """A certificate and its key, from files in PEM. `context` is what new connections are made with."""

    certificate_path: str
    key_path: str
    context: ssl.SSLContext | None = None

    def load(self) -> bool:
        """Reads the files, again perhaps; connections that are there go on. False where they can't be used.

        Who forks reads them first, so that no child depends on how they are when it starts.
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
        # Without a password given here a key that is encrypted would ask the terminal for one.
        context.load_cert_chain(self.certificate_path, self.key_path, password="")
        return context
