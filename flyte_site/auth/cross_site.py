"""What a browser may be made to do by pages of others.

Who may call without a token may be made to by any page that somebody looks at: a form that posts to this server, or a
name of the page's own that is made to point here (DNS rebinding), so that the page may read the answers too.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port

from flyte_site.core.environment import is_ip_address, is_loopback
from flyte_site.http.problems import Problem

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Names that nobody can own outside of one's own network (RFC 6761, RFC 6762, and ICANN's decision on `internal`).
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal")
HEALTH_PATH = "/health"


def reject_unknown_host(request: HttpRequest) -> None:
    """The name that the caller knows this server by must be one of its own. Raises `Problem` 403.

    `/health` says nothing and is asked by probes under any name.
    """
    if request.path_info == HEALTH_PATH:
        return
    host = split_domain_port(request.META.get("HTTP_HOST") or request.get_host())[0]
    if not is_allowed_host(host):
        raise Problem(403, f"{host!r} is no name of this server: FLYTE_ALLOWED_HOSTS says which ones it has")


def is_allowed_host(host: str) -> bool:
    """Whether a request for this host is meant for this server.

    Loopback always is. On a network that everybody in may use it from, whatever an outsider can't own is: addresses,
    names without a dot, names under `.local` and the like.
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
    """What changes something must not come from a page of another site. Raises `Problem` 403.

    Programs send neither header. Browsers send `Sec-Fetch-Site`, older ones at least `Origin`.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.META.get("HTTP_SEC_FETCH_SITE", "none")
    origin = request.META.get("HTTP_ORIGIN")
    if site not in ("same-origin", "none") or (origin is not None and not _is_same_origin(origin, request)):
        raise Problem(403, "a page of another site sent this; without a token only this server's own pages may")


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
