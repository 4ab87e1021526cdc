"""Sign-in to the console at the identity provider: OpenID Connect's authorization code flow with PKCE.

The library keeps state, nonce and verifier in the session and checks them. `flyte_site.auth.oidc.token_validation`
validates tokens, as for the API, and `flyte_site.console.oidc_users` decides which users can sign in.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import (
    OIDCAuthenticationCallbackView,
    OIDCAuthenticationRequestView,
)

from flyte_site.auth.oidc.discovery import ProviderMetadata, get_metadata_cache
from flyte_site.auth.oidc.jwks import ProviderUnavailableError
from flyte_site.auth.oidc.provider_client import PROVIDER_ERRORS, ProviderClient, ProviderStatusError
from flyte_site.auth.oidc.token_validation import InvalidTokenError, validate_token
from flyte_site.console.oidc_users import SignInRefusedError, get_or_create_oidc_user
from flyte_site.http.output.links import get_base_url

log = structlog.get_logger(__name__)

# The time in which a user must return from the provider.
LOGIN_TIMEOUT_SECONDS = 15 * 60
PROVIDER_UNAVAILABLE_MESSAGE = "The identity provider does not answer. Try again in a moment."
TRY_AGAIN_MESSAGE = "The sign-in failed or took too long. Try again."


def get_provider_metadata() -> ProviderMetadata:
    """Return the provider's endpoints. Raise `ProviderUnavailableError`."""
    return get_metadata_cache(settings.FLYTE_OIDC_ISSUER_URL).get_metadata()


def build_callback_url(request: HttpRequest) -> str:
    """Build the redirect URI, which must be registered at the provider."""
    return get_base_url(request) + reverse("admin:sign_on_return")


def login_failed(request: HttpRequest, message: str) -> HttpResponse:
    """Redirect to the sign-in page, which shows the message."""
    messages.error(request, message)
    return HttpResponseRedirect(reverse("admin:login"))


class ConsoleOIDCBackend(OIDCAuthenticationBackend):  # type: ignore[misc]
    """Authentication of a user by the code that the provider issued for the sign-in."""

    def __init__(self) -> None:
        # Skip the library's constructor, which requires all endpoints in the settings.
        self.UserModel = User
        self.OIDC_RP_CLIENT_ID = settings.FLYTE_CONSOLE_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.FLYTE_CONSOLE_CLIENT_SECRET

    def get_token(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Exchange the code for tokens. Raise `ProviderUnavailableError`, `InvalidTokenError`."""
        metadata, form = get_provider_metadata(), {**payload, "redirect_uri": build_callback_url(self.request)}
        secret, options = form.pop("client_secret"), {}
        if secret and metadata.supports_basic_auth:
            options["auth"] = (quote_plus(form["client_id"]), quote_plus(secret))  # RFC 6749, 2.3.1
        elif secret:
            form["client_secret"] = secret
        return fetch_json("POST", metadata.token_endpoint, data=form, **options)

    def verify_token(self, token: Any, **expected: Any) -> dict[str, Any]:
        """Validate the ID token of this sign-in; return its claims. Raise the errors of `validate_token`."""
        if not isinstance(token, str):
            raise InvalidTokenError("the provider's response has no ID token")
        claims = validate_token(token, settings.FLYTE_OIDC_ISSUER_URL, self.OIDC_RP_CLIENT_ID)
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not constant_time_compare(nonce, expected["nonce"]):
            raise InvalidTokenError("nonce mismatch")
        if claims.get("azp", self.OIDC_RP_CLIENT_ID) != self.OIDC_RP_CLIENT_ID:
            raise InvalidTokenError("issued for a different client")
        return claims

    def get_or_create_user(self, access_token: Any, id_token: str, payload: Mapping[str, Any]) -> User:
        """Get or create the user from the claims of ID token and userinfo; the signed ID token takes precedence."""
        userinfo: Mapping[str, Any] = {}
        if (url := get_provider_metadata().userinfo_endpoint) and isinstance(access_token, str):
            userinfo = fetch_json("GET", url, headers={"Authorization": f"Bearer {access_token}"})
            if userinfo.get("sub") != payload.get("sub"):
                raise InvalidTokenError("the provider's userinfo is about a different subject")
        return get_or_create_oidc_user(settings.FLYTE_OIDC_ISSUER_URL, {**userinfo, **payload})


def fetch_json(method: str, url: str, **options: Any) -> dict[str, Any]:
    """Request JSON from the provider. Raise `ProviderUnavailableError`; `InvalidTokenError` for status 4xx."""
    try:
        with ProviderClient() as client:
            return client.request_json(method, url, **options)
    except ProviderStatusError as error:
        if 400 <= error.status < 500:
            raise InvalidTokenError(str(error)) from None
        raise ProviderUnavailableError(url) from None
    except PROVIDER_ERRORS as error:
        log.error("provider_not_asked", url=url, error=f"{type(error).__name__}: {error}"[:300])
        raise ProviderUnavailableError(url) from None


class OIDCLoginView(OIDCAuthenticationRequestView):  # type: ignore[misc]
    """Redirect to the provider for the sign-in."""

    def __init__(self, **options: Any) -> None:
        super(OIDCAuthenticationRequestView, self).__init__(**options)  # skip the library's, as above

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.FLYTE_CONSOLE_SIGN_ON:
            raise Http404
        try:
            self.OIDC_OP_AUTH_ENDPOINT = get_provider_metadata().authorization_endpoint
        except ProviderUnavailableError:
            return login_failed(request, PROVIDER_UNAVAILABLE_MESSAGE)
        self.OIDC_RP_CLIENT_ID = settings.FLYTE_CONSOLE_CLIENT_ID
        if isinstance(request.user, AnonymousUser):
            request.session.set_expiry(LOGIN_TIMEOUT_SECONDS)
        response: HttpResponseBase = super().get(request)
        return response

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        return {"redirect_uri": build_callback_url(request)}


class OIDCCallbackView(OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """Sign-in of a user who returns from the provider; each redirect to it allows one return."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.FLYTE_CONSOLE_SIGN_ON:
            raise Http404
        # Without this check, a link on any page could end a user's session with a forged error.
        if request.GET.get("state", "") not in request.session.get("oidc_states", {}):
            return login_failed(request, TRY_AGAIN_MESSAGE)
        if provider_error := request.GET.get("error"):
            log.warning("sign_on_refused", reason=f"the provider returned the error {provider_error[:100]!r}")
        try:
            response: HttpResponseBase = super().get(request)
        except (InvalidTokenError, SuspiciousOperation) as error:
            log.warning("sign_on_refused", reason=str(error)[:200])
            return login_failed(request, TRY_AGAIN_MESSAGE)
        except ProviderUnavailableError:
            return login_failed(request, PROVIDER_UNAVAILABLE_MESSAGE)
        except SignInRefusedError as error:
            return login_failed(request, str(error))
        return response

    def login_failure(self) -> HttpResponse:
        return login_failed(self.request, TRY_AGAIN_MESSAGE)
