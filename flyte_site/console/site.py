"""The console's site: where its pages hang, what every page has around it, and who may come in."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite, autodiscover
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.checks import CheckMessage
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from flyte_site.auth.openness import openness
from flyte_site.console.accounts import OVER, NewPasswordForm, SignInForm, one_time_password
from flyte_site.console.sign_on import Return, Start

VERSION = "0.1.0"


@dataclass(frozen=True)
class Place:
    """An entry of the navigation, for those who have the permission."""

    label: str
    view: str
    permission: str = ""


NAVIGATION = (
    Place("Home", "index"),
    Place("Flows", "flows_flow_changelist", "flows.view_flow"),
    Place("Executions", "flows_execution_changelist", "flows.view_execution"),
    Place("Approvals", "packs_approval_changelist", "packs.view_approval"),
    Place("Events", "flows_event_changelist", "flows.view_event"),
    Place("Packs", "packs_pack_changelist", "packs.view_pack"),
    Place("Datastore", "datastore_item_changelist", "datastore.view_item"),
    Place("Changes", "flyte_site_change_changelist", "flyte_site.view_change"),
    Place("Tokens", "flyte_site_token_changelist", "flyte_site.manage_token"),
    Place("People", "auth_user_changelist", "auth.view_user"),
)


class ConsoleSite(AdminSite):
    """Django's admin site, as the console of this server. Whoever has an account may come in; roles say the rest."""

    site_header = site_title = "Flyte"
    index_title = "Home"
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "–"
    login_form = SignInForm

    def check(self, app_configs: Any) -> list[CheckMessage]:
        """Check all pages, also where nothing has loaded the URLconf, which loads them."""
        autodiscover()
        return super().check(app_configs)

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        places = navigation(request)
        here = next((place for place in reversed(places) if place["here"]), None)
        around = {"navigation": places, "place": here, "flyte_version": VERSION, "openness": openness()}
        return {**super().each_context(request), **around, "available_apps": []}

    def get_urls(self) -> list[Any]:
        """As Django's, with the way to the identity provider and back: providers know these paths."""
        own = [
            path("sign-on/", Start.as_view(), name="sign_on"),
            path("sign-on/return/", Return.as_view(), name="sign_on_return"),
        ]
        return [*own, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """As Django's, with the provider's button, and without the form where there are no accounts of this server."""
        if request.method == "POST" and not settings.FLYTE_LOCAL_ACCOUNTS:
            raise PermissionDenied
        there = urlsplit(settings.FLYTE_OIDC_ISSUER_URL).hostname if settings.FLYTE_CONSOLE_SIGN_ON else ""
        ways = {"title": "Sign in", "sign_on_at": there, "local_accounts": settings.FLYTE_LOCAL_ACCOUNTS}
        return super().login(request, {**ways, **(extra_context or {})})

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """As Django's, in the console's words."""
        return super().logout(request, {"title": "Signed out", **(extra_context or {})})

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """As Django's; who has a password for one sign-in is sent to choose another before anything else."""
        guarded = super().admin_view(view, cacheable)

        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if elsewhere := password_first(request):
                return sent_to(elsewhere, request)
            answer = guarded(request, *args, **kwargs)
            if request.user.is_authenticated:
                return answer
            acted = request.method == "POST" and request.path != reverse("admin:logout")
            return sent_to(sign_in_again(request) if acted else answer, request)

        page.__name__ = getattr(view, "__name__", "page")
        return page

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        """People know places, not Django's apps."""
        return HttpResponseRedirect(reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        first = one_time_password(request.user) is not None
        around = {**self.each_context(request), "one_time_password": first, **(extra_context or {})}
        view = PasswordChangeView.as_view(
            form_class=NewPasswordForm,
            success_url=page_after(request) if first else reverse("admin:password_change_done"),
            extra_context=around,
            template_name="registration/password_change_form.html",
        )
        return view(request)


def password_first(request: HttpRequest) -> HttpResponseRedirect | None:
    """Where somebody goes who has a password for one sign-in: to choose another, and from there to the page that they
    asked for; to the front door where that one is over. None for everybody else, and for who is there already."""
    change = reverse("admin:password_change")
    given = None if request.path == reverse("admin:logout") else one_time_password(request.user)
    if given is None:
        return None
    if given.is_over(timezone.now()):
        logout(request)
        messages.error(request, OVER)
        return HttpResponseRedirect(reverse("admin:login"))
    if request.path == change:
        return None
    wanted = request.get_full_path() if request.method == "GET" else ""
    if wanted in ("", reverse("admin:index")):
        return HttpResponseRedirect(change)
    return HttpResponseRedirect(f"{change}?{urlencode({REDIRECT_FIELD_NAME: wanted})}")


def page_after(request: HttpRequest) -> str:
    """The page that somebody wanted before they were sent to choose a password; home where that is none of ours."""
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    return wanted if is_ours(wanted, request) else reverse("admin:index")


def is_ours(url: str, request: HttpRequest) -> bool:
    """Whether a URL that the browser sent leads nowhere but to this server."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())


def sign_in_again(request: HttpRequest) -> HttpResponseRedirect:
    """To the sign-in, and from there to the page whose form was sent: what only acts is no page to come back to."""
    page = request.headers.get("Referer", "")
    own = is_ours(page, request)
    back = urlsplit(page)._replace(scheme="", netloc="").geturl() if own else reverse("admin:index")
    return redirect_to_login(back, reverse("admin:login"))


def sent_to(elsewhere: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    """A redirection of the whole page, also where only a part of it was asked for: that would show a sign-in form."""
    part = request.headers.get("HX-Request") == "true"
    return HttpResponse(headers={"HX-Refresh": "true"}) if part else elsewhere


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The places that this person may see: `label`, `url`, and whether the page is `here`."""
    home = reverse("admin:index")
    shown = []
    for place in NAVIGATION:
        if place.permission and not request.user.has_perm(place.permission):
            continue
        try:
            url = reverse(f"admin:{place.view}")
        except NoReverseMatch:
            continue
        here = request.path == url if url == home else request.path.startswith(url)
        shown.append({"label": place.label, "url": url, "here": here})
    return shown
