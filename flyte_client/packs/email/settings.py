"""The Email pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.email.composer import parse_address

SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}
IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}
MAX_CONFIGURABLE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class MailAccount:
    """A mail server with credentials; `user` is empty for anonymous access. `timeout` is in seconds."""

    host: str
    port: int
    security: str
    user: str
    timeout: float
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class SmtpSettings:
    """The SMTP account, the sender, and the maximum size of text and attachments in bytes."""

    account: MailAccount
    sender: str
    max_bytes: int


@dataclass(frozen=True)
class ImapSettings:
    """The IMAP folder, which is polled every `poll_seconds`; read mails are moved to `move_to`, if set.

    Of a mail larger than `max_bytes` only the headers are read; the contents of attachments are included up to
    `attachment_bytes` per mail.
    """

    account: MailAccount
    folder: str
    move_to: str
    poll_seconds: float
    max_bytes: int
    attachment_bytes: int


@dataclass(frozen=True)
class EmailSettings:
    smtp: SmtpSettings | None
    imap: ImapSettings | None


def read_settings(environment: Mapping[str, str]) -> EmailSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    smtp = _read_smtp(environment) if variables.read_text(environment, "FLYTE_SMTP_HOST") else None
    imap = _read_imap(environment) if variables.read_text(environment, "FLYTE_IMAP_HOST") else None
    if smtp is None and imap is None:
        raise SettingsError("FLYTE_SMTP_HOST: set this variable, or FLYTE_IMAP_HOST, or both")
    return EmailSettings(smtp, imap)


def _read_smtp(environment: Mapping[str, str]) -> SmtpSettings:
    sender = variables.read_text(environment, "FLYTE_EMAIL_FROM")
    try:
        parse_address(sender)
    except ValueError as error:
        raise SettingsError(f"FLYTE_EMAIL_FROM: {error}") from None
    max_bytes = variables.read_int(environment, "FLYTE_EMAIL_MAX_BYTES", 10 * 1024 * 1024, 1, MAX_CONFIGURABLE_BYTES)
    return SmtpSettings(_read_account(environment, "FLYTE_SMTP", SMTP_PORTS), sender, max_bytes)


def _read_imap(environment: Mapping[str, str]) -> ImapSettings:
    account = _read_account(environment, "FLYTE_IMAP", IMAP_PORTS)
    if not account.user:
        raise SettingsError("FLYTE_IMAP_USER: required")
    return ImapSettings(
        account=account,
        folder=variables.read_text(environment, "FLYTE_IMAP_FOLDER", "INBOX"),
        move_to=variables.read_text(environment, "FLYTE_IMAP_MOVE_TO"),
        poll_seconds=settings.read_seconds(environment, "FLYTE_IMAP_POLL_SECONDS", 60.0),
        max_bytes=variables.read_int(environment, "FLYTE_IMAP_MAX_BYTES", 5 * 1024 * 1024, 1, MAX_CONFIGURABLE_BYTES),
        attachment_bytes=variables.read_int(environment, "FLYTE_IMAP_ATTACHMENT_BYTES", 0, 0, MAX_CONFIGURABLE_BYTES),
    )


def _read_account(environment: Mapping[str, str], prefix: str, ports: Mapping[str, int]) -> MailAccount:
    security = variables.read_choice(environment, f"{prefix}_SECURITY", list(ports))
    host, user = (variables.read_text(environment, f"{prefix}_{name}") for name in ("HOST", "USER"))
    password = environment.get(f"{prefix}_PASSWORD", "")
    variables.check_credentials(user, password, f"{prefix}_USER", f"{prefix}_PASSWORD")
    if user and security == "none" and not variables.is_loopback(host):
        raise SettingsError(f"{prefix}_SECURITY: none is not allowed with a password, use tls or starttls")
    return MailAccount(
        host=host,
        port=variables.read_int(environment, f"{prefix}_PORT", ports[security], 1, 65535),
        security=security,
        user=user,
        timeout=settings.read_seconds(environment, f"{prefix}_TIMEOUT", 30.0),
        password=password,
    )
