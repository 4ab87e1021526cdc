"""Protection against requests that a page of another site makes a browser send.

If a caller needs no token, any page that they open could use the API in their name: by a form that posts to this
server, or by a host name that resolves to this server (DNS rebinding), which lets the page read responses, too.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from flyte_site.core.environment import is_ip_address, is_loopback
from flyte_site.http.problems import Problem

log = structlog.get_logger(__name__)

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Names that outsiders can't register (RFC 6761, RFC 6762, and ICANN's decision on `internal`).
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal")
HEALTH_PATHS = ("/health", "/health/ready")
# Anybody can send any name.
MAX_LOGGED_HOSTS, MAX_LOGGED_HOST_LENGTH = 50, 255


@dataclass
class RefusedHosts:
    """The names of hosts that were refused; each is logged once by each process."""

    names: set[str] = field(default_factory=set)

    def log(self, host: str) -> None:
        name = host.lower()[:MAX_LOGGED_HOST_LENGTH]
        if name in self.names or len(self.names) >= MAX_LOGGED_HOSTS:
            return
        self.names.add(name)
        hint = f"add it to FLYTE_ALLOWED_HOSTS if it is a name of this server: FLYTE_ALLOWED_HOSTS={name}"
        log.warning("host_refused", host=name, hint=hint)
        if len(self.names) == MAX_LOGGED_HOSTS:
            log.warning("hosts_refused", count=MAX_LOGGED_HOSTS, hint="further names are not logged")


REFUSED_HOSTS = RefusedHosts()


def reject_unknown_host(request: HttpRequest) -> None:
    """Reject a request whose `Host` is not a name of this server. Raises `Problem` 403.

    Health checks are exempt: they reveal nothing, and probes use any name.
    """
    if request.path_info in HEALTH_PATHS:
        return
    host = split_domain_port(request.META.get("HTTP_HOST") or request.get_host())[0]
    if not is_allowed_host(host):
        REFUSED_HOSTS.log(host)
        raise Problem(403, f"host {host!r} is not in the allow list of this server; add it to FLYTE_ALLOWED_HOSTS")


def is_allowed_host(host: str) -> bool:
    """Return True if requests for this host are meant for this server.

    Loopback is always allowed. If the server listens on a network, so are names that an outsider can't own: IP
    addresses, names without a dot, and names under `.local` and the like.
    """
    return _is_allowed_host(host, settings.FLYTE_BIND, tuple(settings.FLYTE_ALLOWED_HOSTS))


@lru_cache(maxsize=256)
def _is_allowed_host(host: str, bind: str, allowed_hosts: tuple[str, ...]) -> bool:
    name = host.lower().removesuffix(".")
    if is_loopback(name) or any(_matches_allowed(allowed, name) for allowed in allowed_hosts):
        return True
    if is_loopback(bind):
        return False
    return is_ip_address(name) or "." not in name or name.endswith(PRIVATE_SUFFIXES) or name == bind.lower()


def _matches_allowed(allowed: str, name: str) -> bool:
    bare = name.removeprefix("[").removesuffix("]")
    return allowed == "*" or bare == allowed.removeprefix("[").removesuffix("]") or _is_subdomain(allowed, name)


def _is_subdomain(allowed: str, name: str) -> bool:
    return allowed.startswith(".") and (name.endswith(allowed) or name == allowed[1:])


def reject_cross_site(request: HttpRequest) -> None:
    """Reject a request that changes something and comes from a page of another site. Raises `Problem` 403.

    Programs send neither header. Browsers send `Sec-Fetch-Site`, older ones at least `Origin`.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.META.get("HTTP_SEC_FETCH_SITE", "none")
    origin = request.META.get("HTTP_ORIGIN")
    if site not in ("same-origin", "none") or (origin is not None and not _is_same_origin(origin, request)):
        raise Problem(403, "cross-site request rejected: pages of other sites need a token")


def _is_same_origin(origin: str, request: HttpRequest) -> bool:
    try:
        sender = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    server_hosts = (
        request.get_host(),
        *(request.headers.get(name, "") for name in ("X-Flyte-Host", "X-Forwarded-Host")),
    )
    return bool(sender) and sender in (host.lower() for host in server_hosts)
