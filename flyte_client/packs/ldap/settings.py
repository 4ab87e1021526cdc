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
    """A directory server; `security` is `tls`, `starttls` or `none`, `timeout` is for a whole search, in seconds.

    Without a `user`, searches are anonymous.
    """

    host: str
    port: int
    security: str
    timeout: float
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class LdapSettings:
    """Settings of searches.

    `user_filter` finds a user. The values of `attributes` are the DNs of the user's groups, and `group_attribute` is
    the part of these DNs that is the group's name.
    """

    server: LdapServer
    base_dn: str
    user_filter: str
    attributes: tuple[str, ...]
    group_attribute: str
    max_entries: int


def read_settings(environment: Mapping[str, str]) -> LdapSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    server = _read_server(environment)
    base_dn = variables.read_text(environment, "FLYTE_LDAP_BASE_DN")
    if not base_dn:
        raise SettingsError("FLYTE_LDAP_BASE_DN: required; set it to the base of searches, such as dc=example,dc=com")
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
    # With a name but no password, a directory accepts anyone as anonymous (RFC 4513, section 5.1.2).
    variables.check_credentials(user, password, "FLYTE_LDAP_BIND_USERNAME", "FLYTE_LDAP_BIND_PASSWORD")
    if user and security == "none" and not variables.is_loopback(host):
        raise SettingsError("FLYTE_LDAP_SECURITY: none is not allowed with a password, use starttls or ldaps")
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
            "FLYTE_LDAP_URL: invalid address; use an address such as ldaps://ldap.example.com or ldap://localhost:389"
        )
    return parts.scheme, host, port or PORTS[parts.scheme]


def _read_user_filter(environment: Mapping[str, str]) -> str:
    value = variables.read_text(environment, "FLYTE_LDAP_SEARCH_FILTER", "(uid={username})")
    try:
        encode_filter(fill_template(value, {"username": "ann"}))
    except ValueError as error:
        raise SettingsError(f"FLYTE_LDAP_SEARCH_FILTER: {error}") from None
    if "{username}" not in value:
        raise SettingsError("FLYTE_LDAP_SEARCH_FILTER: must contain {username}")
    return value
