"""The Ldap pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.ldap.filters import encode_filter, fill_template

PORTS = {"ldap": 389, "ldaps": 636}
MAX_ENTRIES = 1000
SECURITY_MODES = ["starttls", "none"]


@dataclass(frozen=True)
class LdapServer:
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
class LdapSettings:
    """Where is searched, how a user is found there, and which part of which attributes' values names a group."""

    server: LdapServer
    base_dn: str
    user_filter: str
    attributes: tuple[str, ...]
    group_attribute: str
    max_entries: int


def read_settings(environment: Mapping[str, str]) -> LdapSettings:
    """Raises `SettingsError` for what can't be used."""
    server = _read_server(environment)
    base_dn = variables.read_text(environment, "FLYTE_LDAP_BASE_DN")
    if not base_dn:
        raise SettingsError("FLYTE_LDAP_BASE_DN: is not set; it must hold where to search, such as dc=example,dc=com")
    value = variables.read_text(environment, "FLYTE_LDAP_ATTRIBUTES", "memberOf")
    return LdapSettings(
        server=server,
        base_dn=base_dn,
        user_filter=_read_user_filter(environment),
        attributes=tuple(name.strip() for name in value.split(",") if name.strip()),
        group_attribute=variables.read_text(environment, "FLYTE_LDAP_GROUP_ATTRIBUTE", "cn"),
        max_entries=variables.read_int(environment, "FLYTE_LDAP_MAX_ENTRIES", 100, 1, MAX_ENTRIES),
    )


def _read_server(environment: Mapping[str, str]) -> LdapServer:
    scheme, host, port = _parse_url(variables.read_text(environment, "FLYTE_LDAP_URL"))
    value = variables.read_choice(environment, "FLYTE_LDAP_SECURITY", SECURITY_MODES)
    security = "tls" if scheme == "ldaps" else value
    user = variables.read_text(environment, "FLYTE_LDAP_BIND_USERNAME")
    password = environment.get("FLYTE_LDAP_BIND_PASSWORD", "")
    # With a name and no password a directory lets anybody in, as nobody (RFC 4513, section 5.1.2).
    if bool(user) != bool(password):
        raise SettingsError("FLYTE_LDAP_BIND_USERNAME: goes with FLYTE_LDAP_BIND_PASSWORD, and one of them is not set")
    if user and security == "none" and not variables.is_loopback(host):
        raise SettingsError("FLYTE_LDAP_SECURITY: is none, but a password is only sent over TLS")
    timeout = settings.read_seconds(environment, "FLYTE_LDAP_SEARCH_TIMEOUT_IN_SECONDS", 20.0)
    return LdapServer(host, port, security, timeout, user, password)


def _parse_url(url: str) -> tuple[str, str, int]:
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


def _read_user_filter(environment: Mapping[str, str]) -> str:
    value = variables.read_text(environment, "FLYTE_LDAP_SEARCH_FILTER", "(uid={username})")
    try:
        encode_filter(fill_template(value, {"username": "ann"}))
    except ValueError as error:
        raise SettingsError(f"FLYTE_LDAP_SEARCH_FILTER: {error}") from None
    if "{username}" not in value:
        raise SettingsError("FLYTE_LDAP_SEARCH_FILTER: must have {username} in it")
    return value
