"""People and their roles, and the list of what they changed."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import AbstractUser, Group, User
from django.http import HttpRequest

from flyte_site.console.admin import ConsoleAdmin
from flyte_site.models import Change

admin.site.unregister([User, Group])


@admin.register(User)
class PersonAdmin(ConsoleAdmin, UserAdmin):  # type: ignore[type-arg]
    """Accounts. Only who may do everything can give that to others, or change those who have it."""

    kind = "person"
    list_display = ("username", "first_name", "last_name", "email", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Who it is", {"fields": ("first_name", "last_name", "email")}),
        ("What they may do", {"fields": ("is_active", "groups", "is_superuser")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (None, {"classes": ("wide",), "fields": ("username", "usable_password", "password1", "password2", "groups")}),
    )
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="roles")
    def roles(self, user: User) -> str:
        names = ["everything"] if user.is_superuser else []
        return ", ".join([*names, *(group.name for group in user.groups.all())]) or "none"

    def get_readonly_fields(self, request: HttpRequest, obj: AbstractUser | None = None) -> Any:
        return ("last_login", "date_joined") + (() if _may_do_everything(request) else ("is_superuser",))

    def has_change_permission(self, request: HttpRequest, obj: AbstractUser | None = None) -> bool:
        return super().has_change_permission(request, obj) and _reaches(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: AbstractUser | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _reaches(request, obj)


@admin.register(Group)
class RoleAdmin(ConsoleAdmin, GroupAdmin):
    """Roles: who has one has its permissions."""

    kind = "role"


@admin.register(Change)
class ChangeAdmin(ConsoleAdmin):
    """Who changed what. Nobody changes that."""

    kind = "change"
    list_display = ("at", "actor", "via", "what", "kind", "key", "detail")
    list_filter = ("kind", "via", "what")
    search_fields = ("=key", "=actor")
    list_display_links = None
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup in ("kind", "key", "actor") or super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False


def _may_do_everything(request: HttpRequest) -> bool:
    return isinstance(request.user, AbstractUser) and request.user.is_superuser


def _reaches(request: HttpRequest, person: AbstractUser | None) -> bool:
    return person is None or not person.is_superuser or _may_do_everything(request)
