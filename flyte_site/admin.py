"""Console pages of users, roles, tokens and the activity log."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import AbstractUser, Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.forms import CheckboxSelectMultiple, ModelChoiceField, ModelForm, ModelMultipleChoiceField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import USER_KIND, actor_of_user, log_activity
from flyte_site.console.accounts import NewUserForm, UserForm, get_one_time_password, set_one_time_password
from flyte_site.console.activity_list import get_activity_page
from flyte_site.console.filter_forms import ChoiceFilter, SearchForm
from flyte_site.console.model_admin import ConsoleModelAdmin
from flyte_site.console.pages import render_page, require_perm
from flyte_site.console.permission_choices import PERMISSION_LABELS, list_permissions
from flyte_site.console.token_form import TokenForm
from flyte_site.models import Change, Token
from flyte_site.templatetags.console import ago

TOKENS_PER_PAGE = 100

ROLE_ERRORS = {"invalid_choice": "role not found; choose one below"}
ROLES_HELP_TEXT = "A user has the permissions of all their roles. A user without a role sees no pages."

admin.site.unregister([User, Group])


if TYPE_CHECKING:
    _PermissionChoiceBase = ModelMultipleChoiceField[Permission]
    RoleModelForm = ModelForm[Group]
else:
    _PermissionChoiceBase = ModelMultipleChoiceField
    RoleModelForm = ModelForm


class PermissionChoiceField(_PermissionChoiceBase):
    """A choice of permissions, labeled in the console's words."""

    widget = CheckboxSelectMultiple

    def label_from_instance(self, obj: Model) -> str:
        return PERMISSION_LABELS[obj.codename] if isinstance(obj, Permission) else str(obj)


class RoleForm(RoleModelForm):
    """The form of a role. Django's model calls it a group."""

    class Meta:
        error_messages: ClassVar = {"name": {"unique": "A role with this name already exists."}}


class UserFilterForm(SearchForm):
    """Filters of users, with the names of Django's filters."""

    is_active__exact = ChoiceFilter("Status", ("1", "0"))
    groups__id__exact = ModelChoiceField(Group.objects.all(), required=False, label="Role", error_messages=ROLE_ERRORS)
    groups__isnull = ChoiceFilter("Role", ("True",))


class RoleFilter(admin.RelatedFieldListFilter):
    """A filter of users by role."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title, self.empty_value_display = "role", mark_safe("no role")


@admin.register(User)
class ConsoleUserAdmin(ConsoleModelAdmin, UserAdmin):  # type: ignore[type-arg]
    """Accounts. Only superusers can create, change or delete superusers."""

    kind, log_kind = "user", USER_KIND
    filter_form = UserFilterForm
    search_help_text = "Name or email"
    list_display = ("username", "first_name", "last_name", "email", "roles", "is_active", "last_signed_in")
    list_filter = ("is_active", ("groups", RoleFilter))
    search_fields = ("username", "first_name", "last_name", "email")
    fieldsets = (
        (None, {"fields": ("username", "password_state")}),
        ("Profile", {"fields": ("first_name", "last_name", "email")}),
        ("Permissions", {"fields": ("is_active", "groups", "is_superuser")}),
        ("Dates", {"fields": ("last_signed_in", "account_created")}),
    )
    form = UserForm
    add_form = NewUserForm
    add_form_template = None
    add_fieldsets = ((None, {"fields": NewUserForm.Meta.fields}),)
    filter_horizontal = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Users", **(extra_context or {})})

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer only roles whose permissions the signed-in user has, so that nobody can grant more than they have."""
        if db_field.name == "groups":
            kwargs |= {"label": "Roles", "widget": CheckboxSelectMultiple(), "help_text": ROLES_HELP_TEXT}
            kwargs["queryset"] = Group.objects.exclude(permissions__in=_missing_permissions(request)).order_by("name")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="last signed in", ordering="last_login")
    def last_signed_in(self, user: User) -> str:
        return ago(user.last_login) if user.last_login else "never"

    @admin.display(description="account created", ordering="date_joined")
    def account_created(self, user: User) -> str:
        return ago(user.date_joined)

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        names = ["superuser"] if user.is_superuser else []
        return ", ".join([*names, *(group.name for group in user.groups.all())]) or "none"

    def get_readonly_fields(self, request: HttpRequest, obj: AbstractUser | None = None) -> Any:
        names = ("password_state", "last_signed_in", "account_created")
        return names + (() if _is_superuser(request) else ("is_superuser",))

    @admin.display(description="password")
    def password_state(self, user: User) -> str:
        state = "chosen by the user" if user.has_usable_password() else "none"
        if one_time_password := get_one_time_password(user):
            usage_note = (
                "not used, expired" if one_time_password.is_expired(timezone.now()) else "not used yet, expires"
            )
            state = format_html("one-time password, {} {}", usage_note, ago(one_time_password.expires_at))
        if not settings.FLYTE_LOCAL_ACCOUNTS:
            return state
        return format_html('{} · <a href="../password/">Create a one-time password</a>', state)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        if not settings.FLYTE_LOCAL_ACCOUNTS:
            return super().response_add(request, obj, post_url_continue)
        # Render it in this response: a redirect would have to store the password.
        return self._render_password_page(request, obj, set_one_time_password(obj))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Create a one-time password after a confirmation; redirect to the password form for the user's own account."""
        user = self.get_object(request, id)
        if user is None:
            raise Http404
        if not settings.FLYTE_LOCAL_ACCOUNTS or not self.has_change_permission(request, user):
            raise PermissionDenied
        if user == request.user:
            return HttpResponseRedirect(reverse("admin:password_change"))
        if request.method != "POST":
            return self._render_password_page(request, user, "")
        with transaction.atomic():
            password = set_one_time_password(user)
            log_activity(actor_of_user(request), "created one-time password", self.log_kind, user.username)
        return self._render_password_page(request, user, password)

    def _render_password_page(self, request: HttpRequest, user: User, password: str) -> HttpResponse:
        title = "One-time password" if password else "Create a one-time password"
        lifetime = timedelta(seconds=settings.FLYTE_ONE_TIME_PASSWORD_SECONDS)
        context = {"account": user, "password": password, "valid_for": lifetime}
        return render_page(request, "console/one_time_password.html", title, context)

    def has_change_permission(self, request: HttpRequest, obj: AbstractUser | None = None) -> bool:
        return super().has_change_permission(request, obj) and _can_manage_user(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: AbstractUser | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _can_manage_user(request, obj)


@admin.register(Group)
class RoleAdmin(ConsoleModelAdmin, GroupAdmin):
    """Roles. Nobody can create or change a role with permissions that they don't have themselves."""

    kind = "role"
    form = RoleForm
    list_display = ("name",)
    search_help_text = "Name"
    filter_horizontal = ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": "Roles", **(extra_context or {})})

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        if db_field.name == "permissions" and request is not None:
            kwargs |= {
                "queryset": list_permissions().exclude(pk__in=_missing_permissions(request)),
                "form_class": PermissionChoiceField,
            }
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_change_permission(request, obj) and _can_manage_role(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _can_manage_role(request, obj)


@admin.register(Change)
class ActivityLogAdmin(ConsoleModelAdmin):
    """The activity log, read-only."""

    kind = "change"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return render_page(request, "console/changes.html", "Activity", get_activity_page(request.GET))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False


@admin.register(Token)
class TokenAdmin(ConsoleModelAdmin):
    """Tokens of this server: a list, a form that creates a token and shows its secret once, and a revoke button."""

    kind = "token"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="flyte_site_token_changelist"),
            path("add/", wrap(self.add_view), name="flyte_site_token_add"),
            path("<int:pk>/revoke/", wrap(require_POST(self.revoke)), name="flyte_site_token_revoke"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        require_perm(request, "flyte_site.manage_token")
        page = Paginator(tokens.list_tokens(), TOKENS_PER_PAGE).get_page(request.GET.get("page"))
        now = timezone.now()
        rows = [{"token": token, "is_expired": not token.is_usable(now)} for token in page.object_list]
        tokens_required = settings.FLYTE_AUTH != "none"
        context = {"page": page, "rows": rows, "tokens_required": tokens_required, **(extra_context or {})}
        return render_page(request, "console/tokens.html", "Tokens", context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        require_perm(request, "flyte_site.manage_token")
        form = TokenForm(request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid() and (secret := form.create_token(actor_of_user(request))):
            # Render it in this response: a redirect would have to store the secret.
            return self.changelist_view(request, {"secret": secret, "name": form.cleaned_data["name"]})
        return render_page(request, "console/token_add.html", "New token", {"form": form})

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Revoke a token."""
        require_perm(request, "flyte_site.manage_token")
        token = get_object_or_404(Token, pk=pk)
        if tokens.revoke_token(actor_of_user(request), token.name):
            messages.success(request, f"Token {token.name} has been revoked.")
        return HttpResponseRedirect(reverse("admin:flyte_site_token_changelist"))


def _is_superuser(request: HttpRequest) -> bool:
    return isinstance(request.user, AbstractUser) and request.user.is_superuser


def _can_manage_user(request: HttpRequest, user: AbstractUser | None) -> bool:
    """Return True if the user has no permission that the requester lacks.

    Otherwise the requester could take over the account by setting a new password.
    """
    if user is None or _is_superuser(request):
        return True
    return not user.is_superuser and user.get_all_permissions() <= request.user.get_all_permissions()


def _can_manage_role(request: HttpRequest, role: Group | None) -> bool:
    return role is None or not role.permissions.filter(pk__in=_missing_permissions(request)).exists()


def _missing_permissions(request: HttpRequest) -> QuerySet[Permission]:
    """Return the permissions that the requester does not have."""
    if _is_superuser(request):
        return Permission.objects.none()
    return Permission.objects.exclude(Q(group__user=request.user.pk) | Q(user=request.user.pk))
