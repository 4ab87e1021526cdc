"""The door of the API: judges every request to it before anything else looks at it."""

from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from flyte_site.auth import oidc, tokens
from flyte_site.auth.callers import ANONYMOUS, META_KEY, Caller
from flyte_site.auth.keys import ProviderAwayError
from flyte_site.auth.origins import refuse_foreign_hosts, refuse_foreign_pages
from flyte_site.auth.routes import is_console
from flyte_site.auth.scopes import OPEN, needed_for
from flyte_site.rest.bodies import drain
from flyte_site.rest.paths import unescaped
from flyte_site.rest.problems import RETRY_AFTER_SECONDS, Problem, problem_of

log = structlog.get_logger(__name__)

REALM = 'Bearer realm="token"'


class AuthMiddleware:
    """Lets a request through with its caller noted (`callers.caller_of`), or answers 401, 403 or 503."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_console(request.path_info):
            return self.get_response(request)
        try:
            request.META[META_KEY] = admitted(request)
        except (Problem, Error) as error:
            problem = problem_of(error)
            if problem is None:
                raise
            # Who is still sending sees the answer only when it is done.
            length = int(request.META.get("CONTENT_LENGTH") or 0)
            drain(request, min(length, settings.FLYTE_MAX_BODY_BYTES))
            return problem.response()
        return self.get_response(request)


def admitted(request: HttpRequest) -> Caller:
    """Who sends this request, if that one may. Raises `Problem` 401, 403 or 503."""
    caller = {"none": by_origin, "tokens": by_token, "oidc": by_policy}[settings.FLYTE_AUTH](request)
    if caller is ANONYMOUS:
        refuse_foreign_pages(request)
    return caller


def by_origin(request: HttpRequest) -> Caller:
    """Everybody may, but for pages of others in somebody's browser."""
    refuse_foreign_hosts(request)
    return ANONYMOUS


def by_token(request: HttpRequest) -> Caller:
    """What is open is for everybody; for all else a token of this server is needed."""
    return ANONYMOUS if needed_for(*judged(request)) == OPEN else by_scope(request)


def by_scope(request: HttpRequest) -> Caller:
    """A token of this server may do what its scopes say."""
    token = tokens.find(bearer(request))
    if token is None:
        raise unauthorized("the token is unknown, has expired or was revoked", invalid=True)
    needed = needed_for(*judged(request))
    if needed is None and not _has_route(request):
        return tokens.as_caller(token)  # there is nothing at this path, and whoever has a token may know
    if not tokens.allows(token, needed):
        insufficient = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"'}
        raise Problem(403, f"token {token.name!r} may not do this ({needed or 'no token may'})", headers=insufficient)
    return tokens.as_caller(token)


def by_policy(request: HttpRequest) -> Caller:
    """The path policy says which claims of the provider's tokens are needed; tokens of this server go by their scopes.

    What the policy is silent about is for nobody; what it asks no claims for is for everybody, whatever is sent.
    """
    policy = settings.FLYTE_AUTH_POLICY
    demand = policy.demand(*judged(request)) if policy else None
    if demand is not None and demand.is_open:
        return ANONYMOUS
    if authorization(request).startswith(tokens.PREFIX):
        return by_scope(request)
    if demand is None:
        raise Problem(401, "the policy lets nobody do this")
    try:
        claims = oidc.claims_of(bearer(request), settings.FLYTE_OIDC_ISSUER_URL, settings.FLYTE_OIDC_ISSUER_CLIENT_ID)
    except oidc.InvalidTokenError as error:
        log.info("token_refused", reason=str(error)[:200])
        raise unauthorized("the token is not valid", invalid=True) from None
    except ProviderAwayError:
        retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, "the identity provider does not answer", headers=retry) from None
    if not demand.met_by(claims):
        raise Problem(401, "the token has none of the claims that the policy asks for")
    return oidc.as_caller(claims)


def judged(request: HttpRequest) -> tuple[str, Sequence[str]]:
    """The method and the segments of the path that rules are about; HEAD is GET."""
    method = "GET" if request.method == "HEAD" else str(request.method)
    return method, [unescaped(segment) for segment in request.path_info[1:].split("/")]


def bearer(request: HttpRequest) -> str:
    """The token that was sent, as the original takes it: `Bearer` in any case, or nothing before it.

    Raises `Problem` 401.
    """
    if not request.headers.get("Authorization", "").strip():
        raise unauthorized("a token is needed")
    token = authorization(request)
    if not token:
        raise unauthorized("a bearer token is needed", invalid=True)
    return token


def authorization(request: HttpRequest) -> str:
    """The bearer token, whatever it is; '' where there is none."""
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return "" if rest else scheme


def unauthorized(detail: str, *, invalid: bool = False) -> Problem:
    """401 that asks for a token, as the original does."""
    challenge = f'{REALM}, error="invalid_token"' if invalid else REALM
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _has_route(request: HttpRequest) -> bool:
    try:
        resolve(request.path_info)
    except Resolver404:
        return False
    return True
