"""Authentication and authorization of every API request, before anything else handles it."""

from collections.abc import Callable, Sequence

import structlog
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from flyte_site.auth import tokens
from flyte_site.auth.cross_site import reject_cross_site, reject_unknown_host
from flyte_site.auth.oidc import token_validation
from flyte_site.auth.oidc.jwks import ProviderUnavailableError
from flyte_site.auth.principals import ANONYMOUS, META_KEY, Principal
from flyte_site.auth.routes import is_outside_api
from flyte_site.auth.scopes import OPEN, get_required_scope
from flyte_site.http.input.body import refuse_body
from flyte_site.http.paths import unescape_segment
from flyte_site.http.problems import RETRY_AFTER_SECONDS, Problem, to_problem

log = structlog.get_logger(__name__)

BEARER_CHALLENGE = 'Bearer realm="token"'


class AuthMiddleware:
    """Pass a request on with its principal stored (`principals.get_principal`), or answer 401, 403 or 503."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.META[META_KEY] = authenticate(request)
        except (Problem, Error) as error:
            problem = to_problem(error)
            if problem is None:
                raise
            refuse_body(request)
            return problem.response()
        return self.get_response(request)


class PageAuthMiddleware(AuthMiddleware):
    """The same for paths outside the API, except for those of the console and of static files."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request) if is_outside_api(request.path_info) else super().__call__(request)


def authenticate(request: HttpRequest) -> Principal:
    """Return the principal that sends this request, if it is allowed. Raises `Problem` 401, 403 or 503."""
    principal = {"none": allow_everyone, "tokens": authenticate_by_token, "oidc": authenticate_by_policy}[
        settings.FLYTE_AUTH
    ](request)
    if principal is ANONYMOUS:
        if settings.FLYTE_AUTH == "none" or not _is_open_by_scope(request):
            reject_unknown_host(request)
        reject_cross_site(request)
    return principal


def allow_everyone(_: HttpRequest) -> Principal:
    """Allow every caller; `authenticate` rejects pages of other sites in a browser."""
    return ANONYMOUS


def authenticate_by_token(request: HttpRequest) -> Principal:
    """Require a token of this server, except for open routes."""
    return ANONYMOUS if _is_open_by_scope(request) else authenticate_by_scope(request)


def authenticate_by_scope(request: HttpRequest) -> Principal:
    """Require a token of this server whose scopes cover the request. Raises `Problem` 401 or 403."""
    token = tokens.find_token(require_bearer_token(request))
    if token is None:
        raise unauthorized("the token is unknown, expired or revoked", invalid=True)
    required_scope = get_required_scope(*method_and_segments(request))
    if required_scope is None and not _has_route(request):
        return tokens.principal_from_token(token)  # continues to a 404, which any valid token may see
    if not tokens.token_allows(token, required_scope):
        headers = {"WWW-Authenticate": f'{BEARER_CHALLENGE}, error="insufficient_scope"'}
        hint = f"required scope: {required_scope}" if required_scope else "no scope allows it"
        raise Problem(403, f"token {token.name!r} is not allowed to do this; {hint}", headers=headers)
    return tokens.principal_from_token(token)


def authenticate_by_policy(request: HttpRequest) -> Principal:
    """Require the claims that the path policy lists; tokens of this server are checked by their scopes.

    A request without a matching rule is rejected. A rule without claims allows everyone, with any token or none.
    Raises `Problem` 401, 403 or 503.
    """
    policy = settings.FLYTE_AUTH_POLICY
    requirement = policy.get_requirement(*method_and_segments(request)) if policy else None
    if requirement is not None and requirement.is_open:
        return ANONYMOUS
    if get_bearer_token(request).startswith(tokens.TOKEN_PREFIX):
        return authenticate_by_scope(request)
    if requirement is None:
        raise Problem(401, "no policy rule allows this request")
    try:
        claims = token_validation.validate_token(
            require_bearer_token(request), settings.FLYTE_OIDC_ISSUER_URL, settings.FLYTE_OIDC_ISSUER_CLIENT_ID
        )
    except token_validation.InvalidTokenError as error:
        log.info("token_refused", reason=str(error)[:200])
        raise unauthorized("invalid token", invalid=True) from None
    except ProviderUnavailableError:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, "the identity provider does not answer", headers=headers) from None
    if not requirement.find_matching_claim(claims):
        raise Problem(401, "the token has none of the claims that the policy requires")
    return token_validation.principal_from_claims(claims)


def method_and_segments(request: HttpRequest) -> tuple[str, Sequence[str]]:
    """Return the method and path segments that rules are matched against; HEAD counts as GET."""
    method = "GET" if request.method == "HEAD" else str(request.method)
    return method, [unescape_segment(segment) for segment in request.path_info[1:].split("/")]


def require_bearer_token(request: HttpRequest) -> str:
    """Return the token of the request in the forms that the original accepts: after `Bearer` in any case, or by itself.

    Raises `Problem` 401.
    """
    if not request.headers.get("Authorization", "").strip():
        raise unauthorized("token required")
    token = get_bearer_token(request)
    if not token:
        raise unauthorized("bearer token required", invalid=True)
    return token


def get_bearer_token(request: HttpRequest) -> str:
    """Return the bearer token of the request, unchecked; '' if it has none."""
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return "" if credentials else scheme


def unauthorized(detail: str, *, invalid: bool = False) -> Problem:
    """401 with the challenge that the original sends."""
    challenge = f'{BEARER_CHALLENGE}, error="invalid_token"' if invalid else BEARER_CHALLENGE
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _is_open_by_scope(request: HttpRequest) -> bool:
    """Return True for entry points, health and documentation, which hold no data and so need no token."""
    return get_required_scope(*method_and_segments(request)) == OPEN


def _has_route(request: HttpRequest) -> bool:
    try:
        resolve(request.path_info)
    except Resolver404:
        return False
    return True
