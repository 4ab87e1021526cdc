"""The Email pack's settings."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.email.composing import one_address

SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}
IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}
LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Account:
    """A mail server, and who signs in there; `user` is empty where nobody does. `timeout` is in seconds."""

    host: str
    port: int
    security: str
    user: str
    timeout: float
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Outgoing:
    """Where mail is given to, whom it is from, and how many bytes its text and attachments may have."""

    account: Account
    sender: str
    max_bytes: int


@dataclass(frozen=True)
class Incoming:
    """Where mail is looked for: `every` so many seconds; and what becomes of it.

    Of a mail with more than `max_bytes` only the headers are read; attachments' contents go along up to
    `attachment_bytes` a mail.
    """

    account: Account
    folder: str
    move_to: str
    every: float
    max_bytes: int
    attachment_bytes: int


@dataclass(frozen=True)
class Settings:
    outgoing: Outgoing | None
    incoming: Incoming | None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    outgoing = _outgoing(environment) if variables.text(environment, "FLYTE_SMTP_HOST") else None
    incoming = _incoming(environment) if variables.text(environment, "FLYTE_IMAP_HOST") else None
    if outgoing is None and incoming is None:
        raise SettingsError("FLYTE_SMTP_HOST: is not set, and neither is FLYTE_IMAP_HOST; at least one must be")
    return Settings(outgoing, incoming)


def _outgoing(environment: Mapping[str, str]) -> Outgoing:
    sender = variables.text(environment, "FLYTE_EMAIL_FROM")
    try:
        one_address(sender)
    except ValueError as error:
        raise SettingsError(f"FLYTE_EMAIL_FROM: {error}") from None
    max_bytes = variables.whole(environment, "FLYTE_EMAIL_MAX_BYTES", 10 * 1024 * 1024, 1, LARGEST)
    return Outgoing(_account(environment, "FLYTE_SMTP", SMTP_PORTS), sender, max_bytes)


def _incoming(environment: Mapping[str, str]) -> Incoming:
    account = _account(environment, "FLYTE_IMAP", IMAP_PORTS)
    if not account.user:
        raise SettingsError("FLYTE_IMAP_USER: is not set")
    return Incoming(
        account=account,
        folder=variables.text(environment, "FLYTE_IMAP_FOLDER", "INBOX"),
        move_to=variables.text(environment, "FLYTE_IMAP_MOVE_TO"),
        every=settings.seconds(environment, "FLYTE_IMAP_POLL_SECONDS", 60.0),
        max_bytes=variables.whole(environment, "FLYTE_IMAP_MAX_BYTES", 5 * 1024 * 1024, 1, LARGEST),
        attachment_bytes=variables.whole(environment, "FLYTE_IMAP_ATTACHMENT_BYTES", 0, 0, LARGEST),
    )


def _account(environment: Mapping[str, str], prefix: str, ports: Mapping[str, int]) -> Account:
    security = variables.choice(environment, f"{prefix}_SECURITY", list(ports))
    host, user = (variables.text(environment, f"{prefix}_{name}") for name in ("HOST", "USER"))
    password = environment.get(f"{prefix}_PASSWORD", "")
    if bool(user) != bool(password):
        raise SettingsError(f"{prefix}_USER: goes with {prefix}_PASSWORD, and one of them is not set")
    if user and security == "none" and not _is_loopback(host):
        raise SettingsError(f"{prefix}_SECURITY: is none, but a password is only sent over tls or starttls")
    return Account(
        host=host,
        port=variables.whole(environment, f"{prefix}_PORT", ports[security], 1, 65535),
        security=security,
        user=user,
        timeout=settings.seconds(environment, f"{prefix}_TIMEOUT", 30.0),
        password=password,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
