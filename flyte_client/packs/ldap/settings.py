"""The Ldap pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.ldap.filters import encoded, filled

PORTS = {"ldap": 389, "ldaps": 636}
MOST_ENTRIES = 1000
SECURITIES = ["starttls", "none"]


@dataclass(frozen=True)
class Server:
    """`security` is `tls`, `starttls` or `none`; `timeout`, in seconds, is for a whole search.

    Where `user` is empty, nobody signs in.
    """

    host: str
    port: int
    security: str
    timeout: float
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class Settings:
    """Where is searched, how a user is found there, and which part of which attributes' values names a group."""

    server: Server
    base: str
    user_filter: str
    attributes: tuple[str, ...]
    group_attribute: str
    limit: int


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    server = _server(environment)
    base = variables.text(environment, "FLYTE_LDAP_BASE_DN")
    if not base:
        raise SettingsError("FLYTE_LDAP_BASE_DN: is not set; it must hold where to search, such as dc=example,dc=com")
    given = variables.text(environment, "FLYTE_LDAP_ATTRIBUTES", "memberOf")
    return Settings(
        server=server,
        base=base,
        user_filter=_user_filter(environment),
        attributes=tuple(name.strip() for name in given.split(",") if name.strip()),
        group_attribute=variables.text(environment, "FLYTE_LDAP_GROUP_ATTRIBUTE", "cn"),
        limit=variables.whole(environment, "FLYTE_LDAP_MAX_ENTRIES", 100, 1, MOST_ENTRIES),
    )


def _server(environment: Mapping[str, str]) -> Server:
    scheme, host, port = _address(variables.text(environment, "FLYTE_LDAP_URL"))
    given = variables.choice(environment, "FLYTE_LDAP_SECURITY", SECURITIES)
    security = "tls" if scheme == "ldaps" else given
    user = variables.text(environment, "FLYTE_LDAP_BIND_USERNAME")
    password = environment.get("FLYTE_LDAP_BIND_PASSWORD", "")
    # With a name and no password a directory lets anybody in, as nobody (RFC 4513, section 5.1.2).
    if bool(user) != bool(password):
        raise SettingsError("FLYTE_LDAP_BIND_USERNAME: goes with FLYTE_LDAP_BIND_PASSWORD, and one of them is not set")
    if user and security == "none" and not variables.is_loopback(host):
        raise SettingsError("FLYTE_LDAP_SECURITY: is none, but a password is only sent over TLS")
    timeout = settings.seconds(environment, "FLYTE_LDAP_SEARCH_TIMEOUT_IN_SECONDS", 20.0)
    return Server(host, port, security, timeout, user, password)


def _address(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if (
        not host
        or port == 0
        or parts.scheme not in PORTS
        or parts.path.strip("/")
        or parts.query
        or "@" in parts.netloc
    ):
        raise SettingsError(
            "FLYTE_LDAP_URL: must be an address such as ldaps://ldap.example.com or ldap://localhost:389"
        )
    return parts.scheme, host, port or PORTS[parts.scheme]


def _user_filter(environment: Mapping[str, str]) -> str:
    given = variables.text(environment, "FLYTE_LDAP_SEARCH_FILTER", "(uid={username})")
    try:
        encoded(filled(given, {"username": "ann"}))
    except ValueError as error:
        raise SettingsError(f"FLYTE_LDAP_SEARCH_FILTER: {error}") from None
    if "{username}" not in given:
        raise SettingsError("FLYTE_LDAP_SEARCH_FILTER: must have {username} in it")
    return given
