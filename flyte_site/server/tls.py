"""The server's TLS certificate, which can be reloaded while it serves."""

import ssl
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

# As RFC 9325 requires. Ciphers and curves are OpenSSL's defaults.
MIN_TLS_VERSION = ssl.TLSVersion.TLSv1_2


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
