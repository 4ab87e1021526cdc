"""The console's admin site: its URLs, the context of all pages, navigation, sign-in and forced password change."""

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

from flyte_site.auth.exposure import get_exposure_warning
from flyte_site.console.accounts import (
    ONE_TIME_PASSWORD_EXPIRED,
    FirstPasswordForm,
    NewPasswordForm,
    SignInForm,
    get_one_time_password,
)
from flyte_site.console.oidc_login import OIDCCallbackView, OIDCLoginView

VERSION = "0.1.0"


@dataclass(frozen=True)
class NavigationItem:
    """An entry of the navigation, shown to users with the permission."""

    label: str
    view: str
    permission: str = ""


NAVIGATION = (
    NavigationItem("Home", "index"),
    NavigationItem("Flows", "flows_flow_changelist", "flows.view_flow"),
    NavigationItem("Executions", "flows_execution_changelist", "flows.view_execution"),
    NavigationItem("Approvals", "packs_approval_changelist", "packs.view_approval"),
    NavigationItem("Events", "flows_event_changelist", "flows.view_event"),
    NavigationItem("Packs", "packs_pack_changelist", "packs.view_pack"),
    NavigationItem("Datastore", "datastore_item_changelist", "datastore.view_item"),
    NavigationItem("Activity", "flyte_site_change_changelist", "flyte_site.view_change"),
    NavigationItem("Tokens", "flyte_site_token_changelist", "flyte_site.manage_token"),
    NavigationItem("Users", "auth_user_changelist", "auth.view_user"),
)


class ConsoleSite(AdminSite):
    """Django's admin site as the console. All active users can sign in; roles determine what they see."""

    site_header = site_title = "Flyte"
    index_title = "Home"
    site_url = None
    enable_nav_sidebar = False
    empty_value_display = "–"
    login_form = SignInForm

    def check(self, app_configs: Any) -> list[CheckMessage]:
        """Check all pages, even if the URLconf, which loads them, is not loaded."""
        autodiscover()
        return super().check(app_configs)

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        items = build_navigation(request)
        current = next((item for item in reversed(items) if item["here"]), None)
        context = {
            "navigation": items,
            "current_page": current,
            "flyte_version": VERSION,
            "exposure_warning": get_exposure_warning(),
        }
        return {**super().each_context(request), **context, "available_apps": []}

    def get_urls(self) -> list[Any]:
        """Add the URLs of the sign-in at the identity provider, which are registered there."""
        login_urls = [
            path("sign-on/", OIDCLoginView.as_view(), name="sign_on"),
            path("sign-on/return/", OIDCCallbackView.as_view(), name="sign_on_return"),
        ]
        return [*login_urls, *super().get_urls()]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Add the provider's button to Django's sign-in page; reject the form if local accounts are off."""
        if request.method == "POST" and not settings.FLYTE_LOCAL_ACCOUNTS:
            raise PermissionDenied
        provider_host = urlsplit(settings.FLYTE_OIDC_ISSUER_URL).hostname if settings.FLYTE_CONSOLE_SIGN_ON else ""
        context = {"title": "Sign in", "sign_on_at": provider_host, "local_accounts": settings.FLYTE_LOCAL_ACCOUNTS}
        return super().login(request, {**context, **(extra_context or {})})

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Set the title of Django's sign-out page."""
        return super().logout(request, {"title": "Signed out", **(extra_context or {})})

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Redirect users with a one-time password to the password form first."""
        guarded_view = super().admin_view(view, cacheable)

        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if redirect := require_password_change(request):
                return redirect_full_page(redirect, request)
            response = guarded_view(request, *args, **kwargs)
            if request.user.is_authenticated:
                return response
            is_form_post = request.method == "POST" and request.path != reverse("admin:logout")
            return redirect_full_page(redirect_to_sign_in(request) if is_form_post else response, request)

        wrapper.__name__ = getattr(view, "__name__", "page")
        return wrapper

    def app_index(self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Redirect home: the console has no pages by app."""
        return HttpResponseRedirect(reverse("admin:index"))

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        must_change = get_one_time_password(request.user) is not None
        context = {**self.each_context(request), "title": "Change password", "one_time_password": must_change}
        context |= extra_context or {}
        if must_change:
            context["navigation"] = []  # no other page opens until the password is changed
        view = PasswordChangeView.as_view(
            form_class=FirstPasswordForm if must_change else NewPasswordForm,
            success_url=get_next_url(request) if must_change else reverse("admin:password_change_done"),
            extra_context=context,
            template_name="registration/password_change_form.html",
        )
        return view(request)


def require_password_change(request: HttpRequest) -> HttpResponseRedirect | None:
    """Return a redirect for a user with a one-time password, else None.

    It leads to the password form, and from there to the requested page. If the password has expired, sign the user out
    and redirect to the sign-in page.
    """
    change_url = reverse("admin:password_change")
    one_time_password = None if request.path == reverse("admin:logout") else get_one_time_password(request.user)
    if one_time_password is None:
        return None
    if one_time_password.is_expired(timezone.now()):
        logout(request)
        messages.error(request, ONE_TIME_PASSWORD_EXPIRED)
        return HttpResponseRedirect(reverse("admin:login"))
    if request.path == change_url:
        return None
    next_url = request.get_full_path() if request.method == "GET" else ""
    if next_url in ("", reverse("admin:index")):
        return HttpResponseRedirect(change_url)
    return HttpResponseRedirect(f"{change_url}?{urlencode({REDIRECT_FIELD_NAME: next_url})}")


def get_next_url(request: HttpRequest) -> str:
    """Return the page that was requested before the password form; home if it is not on this server."""
    next_url = request.GET.get(REDIRECT_FIELD_NAME, "")
    return next_url if is_local_url(next_url, request) else reverse("admin:index")


def is_local_url(url: str, request: HttpRequest) -> bool:
    """Return True if a URL that the browser sent leads to this server."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())


def redirect_to_sign_in(request: HttpRequest) -> HttpResponseRedirect:
    """Redirect to the sign-in, and then to the page that contained the form, because its target accepts only POST."""
    referer = request.headers.get("Referer", "")
    is_local = is_local_url(referer, request)
    next_url = urlsplit(referer)._replace(scheme="", netloc="").geturl() if is_local else reverse("admin:index")
    return redirect_to_login(next_url, reverse("admin:login"))


def redirect_full_page(redirect: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    """Redirect the whole page, even for a request of a fragment, which would otherwise show the sign-in form."""
    is_partial = request.headers.get("HX-Request") == "true"
    return HttpResponse(headers={"HX-Refresh": "true"}) if is_partial else redirect


def build_navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Build the navigation items that the user can see: `label`, `url`, and `here` for the current page."""
    home_url = reverse("admin:index")
    items = []
    for item in NAVIGATION:
        if item.permission and not request.user.has_perm(item.permission):
            continue
        try:
            url = reverse(f"admin:{item.view}")
        except NoReverseMatch:
            continue
        is_current = request.path == url if url == home_url else request.path.startswith(url)
        items.append({"label": item.label, "url": url, "here": is_current})
    return items
