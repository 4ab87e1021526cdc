"""Sign-in at the console by the identity provider: OpenID Connect's authorization code flow, with PKCE.

The library keeps state, nonce and verifier in the session and asks for them again; which tokens count is judged by
`flyte_site.auth.oidc`, as for the API, and who may come in by `flyte_site.console.people`.
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

from flyte_site.auth.endpoints import Endpoints, discovery_of
from flyte_site.auth.fetching import FAILURES, Errand, StatusError
from flyte_site.auth.keys import ProviderAwayError
from flyte_site.auth.oidc import InvalidTokenError, claims_of
from flyte_site.console.people import RefusedError, come_in
from flyte_site.rest.links import base_url

log = structlog.get_logger(__name__)

# Who does not come back from the provider within this time begins again.
UNDER_WAY_SECONDS = 15 * 60
AWAY = "The identity provider does not answer. Try again in a moment."
AGAIN = "The sign-in did not work, or took too long. Try again."


def endpoints() -> Endpoints:
    """The provider's addresses. Raises `ProviderAwayError`."""
    return discovery_of(settings.FLYTE_OIDC_ISSUER_URL).endpoints()


def return_url(request: HttpRequest) -> str:
    """Where the provider sends people back to: must be known to it."""
    return base_url(request) + reverse("admin:sign_on_return")


def turned_away(request: HttpRequest, words: str) -> HttpResponse:
    """Back to the front door, where the page says why."""
    messages.error(request, words)
    return HttpResponseRedirect(reverse("admin:login"))


class Provider(OIDCAuthenticationBackend):  # type: ignore[misc]
    """Who has signed in at the provider, by the code that they bring back."""

    def __init__(self) -> None:
        # Not the library's, which would want every endpoint set: every check of a permission makes one of these.
        self.UserModel = User
        self.OIDC_RP_CLIENT_ID = settings.FLYTE_CONSOLE_CLIENT_ID
        self.OIDC_RP_CLIENT_SECRET = settings.FLYTE_CONSOLE_CLIENT_SECRET

    def get_token(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The tokens that the provider gives for the code. Raises `ProviderAwayError`, `InvalidTokenError`."""
        found, form = endpoints(), {**payload, "redirect_uri": return_url(self.request)}
        secret, options = form.pop("client_secret"), {}
        if secret and found.takes_basic:
            options["auth"] = (quote_plus(form["client_id"]), quote_plus(secret))  # RFC 6749, 2.3.1
        elif secret:
            form["client_secret"] = secret
        return fetched("POST", found.token, data=form, **options)

    def verify_token(self, token: Any, **expected: Any) -> dict[str, Any]:
        """The claims of an ID token that was made for this sign-in. Raises as `oidc.claims_of` does."""
        if not isinstance(token, str):
            raise InvalidTokenError("the provider gave no ID token")
        claims = claims_of(token, settings.FLYTE_OIDC_ISSUER_URL, self.OIDC_RP_CLIENT_ID)
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not constant_time_compare(nonce, expected["nonce"]):
            raise InvalidTokenError("its nonce is another's")
        if claims.get("azp", self.OIDC_RP_CLIENT_ID) != self.OIDC_RP_CLIENT_ID:
            raise InvalidTokenError("it was made for another client")
        return claims

    def get_or_create_user(self, access_token: Any, id_token: str, payload: Mapping[str, Any]) -> User:
        """The person, with what the provider says of them beside the ID token; the signed word counts more."""
        more: Mapping[str, Any] = {}
        if (url := endpoints().userinfo) and isinstance(access_token, str):
            more = fetched("GET", url, headers={"Authorization": f"Bearer {access_token}"})
            if more.get("sub") != payload.get("sub"):
                raise InvalidTokenError("the provider's userinfo is about somebody else")
        return come_in(settings.FLYTE_OIDC_ISSUER_URL, {**more, **payload})


def fetched(method: str, url: str, **request: Any) -> dict[str, Any]:
    """What the provider answers. Raises `ProviderAwayError`; `InvalidTokenError` where it refuses."""
    try:
        with Errand() as errand:
            return errand.json_object(method, url, **request)
    except StatusError as error:
        if 400 <= error.status < 500:
            raise InvalidTokenError(str(error)) from None
        raise ProviderAwayError(url) from None
    except FAILURES as error:
        log.error("provider_not_asked", url=url, error=f"{type(error).__name__}: {error}"[:300])
        raise ProviderAwayError(url) from None


class Start(OIDCAuthenticationRequestView):  # type: ignore[misc]
    """Sends somebody to the provider."""

    def __init__(self, **options: Any) -> None:
        super(OIDCAuthenticationRequestView, self).__init__(**options)  # not the library's, as above

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.FLYTE_CONSOLE_SIGN_ON:
            raise Http404
        try:
            self.OIDC_OP_AUTH_ENDPOINT = endpoints().authorization
        except ProviderAwayError:
            return turned_away(request, AWAY)
        self.OIDC_RP_CLIENT_ID = settings.FLYTE_CONSOLE_CLIENT_ID
        if isinstance(request.user, AnonymousUser):
            request.session.set_expiry(UNDER_WAY_SECONDS)
        answer: HttpResponseBase = super().get(request)
        return answer

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        return {"redirect_uri": return_url(request)}


class Return(OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """Takes somebody back from the provider, once for each time that they were sent there."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        if not settings.FLYTE_CONSOLE_SIGN_ON:
            raise Http404
        # Else a link on anybody's page could end somebody's session, by an error that the provider never told.
        if request.GET.get("state", "") not in request.session.get("oidc_states", {}):
            return turned_away(request, AGAIN)
        if told := request.GET.get("error"):
            log.warning("sign_on_refused", reason=f"the provider says {told[:100]}")
        try:
            answer: HttpResponseBase = super().get(request)
        except (InvalidTokenError, SuspiciousOperation) as error:
            log.warning("sign_on_refused", reason=str(error)[:200])
            return turned_away(request, AGAIN)
        except ProviderAwayError:
            return turned_away(request, AWAY)
        except RefusedError as error:
            return turned_away(request, str(error))
        return answer

    def login_failure(self) -> HttpResponse:
        return turned_away(self.request, AGAIN)
