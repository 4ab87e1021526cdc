"""The door of the API: judges every request to it before anything else looks at it."""

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
from flyte_site.http.path_converters import unescape_segment
from flyte_site.http.problems import RETRY_AFTER_SECONDS, Problem, to_problem
from flyte_site.http.request_body import drain_body

log = structlog.get_logger(__name__)

BEARER_CHALLENGE = 'Bearer realm="token"'


class AuthMiddleware:
    """Lets a request through with its caller noted (`callers.caller_of`), or answers 401, 403 or 503."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_outside_api(request.path_info):
            return self.get_response(request)
        try:
            request.META[META_KEY] = authenticate(request)
        except (Problem, Error) as error:
            problem = to_problem(error)
            if problem is None:
                raise
            # Who is still sending sees the answer only when it is done.
            length = int(request.META.get("CONTENT_LENGTH") or 0)
            drain_body(request, min(length, settings.FLYTE_MAX_BODY_BYTES))
            return problem.response()
        return self.get_response(request)


def authenticate(request: HttpRequest) -> Principal:
    """Who sends this request, if that one may. Raises `Problem` 401, 403 or 503."""
    principal = {"none": authenticate_by_origin, "tokens": authenticate_by_token, "oidc": authenticate_by_policy}[
        settings.FLYTE_AUTH
    ](request)
    if principal is ANONYMOUS:
        reject_cross_site(request)
    return principal


def authenticate_by_origin(request: HttpRequest) -> Principal:
    """Everybody may, but for pages of others in somebody's browser."""
    reject_unknown_host(request)
    return ANONYMOUS


def authenticate_by_token(request: HttpRequest) -> Principal:
    """What is open is for everybody; for all else a token of this server is needed."""
    return ANONYMOUS if get_required_scope(*method_and_segments(request)) == OPEN else authenticate_by_scope(request)


def authenticate_by_scope(request: HttpRequest) -> Principal:
    """A token of this server may do what its scopes say."""
    token = tokens.find_token(require_bearer_token(request))
    if token is None:
        raise unauthorized("the token is unknown, has expired or was revoked", invalid=True)
    required_scope = get_required_scope(*method_and_segments(request))
    if required_scope is None and not _has_route(request):
        return tokens.principal_from_token(token)  # there is nothing at this path, and whoever has a token may know
    if not tokens.token_allows(token, required_scope):
        headers = {"WWW-Authenticate": f'{BEARER_CHALLENGE}, error="insufficient_scope"'}
        raise Problem(
            403, f"token {token.name!r} may not do this ({required_scope or 'no token may'})", headers=headers
        )
    return tokens.principal_from_token(token)


def authenticate_by_policy(request: HttpRequest) -> Principal:
    """The path policy says which claims of the provider's tokens are needed; tokens of this server go by their scopes.

    What the policy is silent about is for nobody; what it asks no claims for is for everybody, whatever is sent.
    """
    policy = settings.FLYTE_AUTH_POLICY
    requirement = policy.get_requirement(*method_and_segments(request)) if policy else None
    if requirement is not None and requirement.is_open:
        return ANONYMOUS
    if get_bearer_token(request).startswith(tokens.TOKEN_PREFIX):
        return authenticate_by_scope(request)
    if requirement is None:
        raise Problem(401, "the policy lets nobody do this")
    try:
        claims = token_validation.validate_token(
            require_bearer_token(request), settings.FLYTE_OIDC_ISSUER_URL, settings.FLYTE_OIDC_ISSUER_CLIENT_ID
        )
    except token_validation.InvalidTokenError as error:
        log.info("token_refused", reason=str(error)[:200])
        raise unauthorized("the token is not valid", invalid=True) from None
    except ProviderUnavailableError:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise Problem(503, "the identity provider does not answer", headers=headers) from None
    if not requirement.find_matching_claim(claims):
        raise Problem(401, "the token has none of the claims that the policy asks for")
    return token_validation.principal_from_claims(claims)


def method_and_segments(request: HttpRequest) -> tuple[str, Sequence[str]]:
    """The method and the segments of the path that rules are about; HEAD is GET."""
    method = "GET" if request.method == "HEAD" else str(request.method)
    return method, [unescape_segment(segment) for segment in request.path_info[1:].split("/")]


def require_bearer_token(request: HttpRequest) -> str:
    """The token that was sent, as the original takes it: `Bearer` in any case, or nothing before it.

    Raises `Problem` 401.
    """
    if not request.headers.get("Authorization", "").strip():
        raise unauthorized("a token is needed")
    token = get_bearer_token(request)
    if not token:
        raise unauthorized("a bearer token is needed", invalid=True)
    return token


def get_bearer_token(request: HttpRequest) -> str:
    """The bearer token, whatever it is; '' where there is none."""
    scheme, _, credentials = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return "" if credentials else scheme


def unauthorized(detail: str, *, invalid: bool = False) -> Problem:
    """401 that asks for a token, as the original does."""
    challenge = f'{BEARER_CHALLENGE}, error="invalid_token"' if invalid else BEARER_CHALLENGE
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _has_route(request: HttpRequest) -> bool:
    try:
        resolve(request.path_info)
    except Resolver404:
        return False
    return True
