"""The Email pack's settings."""

import ipaddress
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
    """A mail server, and who signs in there; `user` is empty where nobody does. `timeout` is in seconds."""

    host: str
    port: int
    security: str
    user: str
    timeout: float
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class SmtpSettings:
    """Where mail is given to, whom it is from, and how many bytes its text and attachments may have."""

    account: MailAccount
    sender: str
    max_bytes: int


@dataclass(frozen=True)
class ImapSettings:
    """Where mail is looked for: `every` so many seconds; and what becomes of it.

    Of a mail with more than `max_bytes` only the headers are read; attachments' contents go along up to
    `attachment_bytes` a mail.
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
    """Raises `SettingsError` for what can't be used."""
    smtp = _read_smtp(environment) if variables.read_text(environment, "FLYTE_SMTP_HOST") else None
    imap = _read_imap(environment) if variables.read_text(environment, "FLYTE_IMAP_HOST") else None
    if smtp is None and imap is None:
        raise SettingsError("FLYTE_SMTP_HOST: is not set, and neither is FLYTE_IMAP_HOST; at least one must be")
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
        raise SettingsError("FLYTE_IMAP_USER: is not set")
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
    if bool(user) != bool(password):
        raise SettingsError(f"{prefix}_USER: goes with {prefix}_PASSWORD, and one of them is not set")
    if user and security == "none" and not _is_loopback(host):
        raise SettingsError(f"{prefix}_SECURITY: is none, but a password is only sent over tls or starttls")
    return MailAccount(
        host=host,
        port=variables.read_int(environment, f"{prefix}_PORT", ports[security], 1, 65535),
        security=security,
        user=user,
        timeout=settings.read_seconds(environment, f"{prefix}_TIMEOUT", 30.0),
        password=password,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
