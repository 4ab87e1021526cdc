"""Accounts, their forms, and one-time passwords."""

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.forms import AuthenticationForm, SetPasswordForm, UsernameField
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from flyte_site.auth.activity_log import SERVER_ACTOR, USER_KIND, VIA_CONSOLE, Actor, log_activity
from flyte_site.models import OneTimePassword

FIRST_ADMIN_USERNAME = "admin"
USERNAME_EXISTS = "A user with this name already exists."
USERNAME_CHARACTERS = "Use only letters, digits and @ . + - _"
REPEAT_PASSWORD = "Repeat the new password."  # noqa: S105 - a message
SAME_PASSWORD = "The new password must differ from the old one."  # noqa: S105 - a message
ONE_TIME_PASSWORD_EXPIRED = "This one-time password has expired. Ask an admin for a new one."  # noqa: S105 - a message


def create_first_admin() -> str | None:
    """Create the account `admin` if no account exists; return its one-time password, or None.

    If it is still the only account, and its one-time password has expired, create a new password. Of several callers at
    the same moment, one succeeds. Do nothing if FLYTE_LOCAL_ACCOUNTS is false.
    """
    if not settings.FLYTE_LOCAL_ACCOUNTS:
        return None
    if User.objects.exists():
        return _renew_first_admin_password()
    try:
        with transaction.atomic():
            user = User.objects.create_superuser(FIRST_ADMIN_USERNAME)
            log_activity(SERVER_ACTOR, "created", USER_KIND, FIRST_ADMIN_USERNAME, superuser=True)
            return set_one_time_password(user)
    except IntegrityError:
        return None


@transaction.atomic
def _renew_first_admin_password() -> str | None:
    """Replace the expired, never used password of the first account; return the new one, or None."""
    one_time_password = (
        OneTimePassword.objects.select_related("user").filter(user__username=FIRST_ADMIN_USERNAME).first()
    )
    now = timezone.now()
    if one_time_password is None or not one_time_password.is_expired(now) or User.objects.count() > 1:
        return None
    if not OneTimePassword.objects.filter(pk=one_time_password.pk, made_at=one_time_password.made_at).update(
        made_at=now
    ):
        return None
    log_activity(SERVER_ACTOR, "created one-time password", USER_KIND, FIRST_ADMIN_USERNAME)
    return set_one_time_password(one_time_password.user)


@transaction.atomic
def set_one_time_password(user: User) -> str:
    """Replace the user's password with a one-time password; return it, because it can't be shown again.

    It expires, and allows nothing but choosing a new password. Existing sessions of the user end.
    """
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    OneTimePassword.objects.update_or_create(user=user, defaults={"made_at": timezone.now()})
    return password


def get_one_time_password(user: AbstractBaseUser | AnonymousUser) -> OneTimePassword | None:
    """Return the user's one-time password, which they must change first; None if they have chosen a password."""
    return OneTimePassword.objects.filter(user_id=user.pk).first() if user.is_authenticated else None


def clear_one_time_password(name: str) -> None:
    """Make this user's password a permanent one."""
    OneTimePassword.objects.filter(user__username=name).delete()


if TYPE_CHECKING:
    UserModelForm = forms.ModelForm[User]
    UserPasswordForm = SetPasswordForm[User]
else:
    UserModelForm = forms.ModelForm
    UserPasswordForm = SetPasswordForm


class SignInForm(AuthenticationForm):
    """The sign-in form: username and password."""

    error_messages = {
        "invalid_login": "Wrong username or password. Both are case-sensitive.",
        "inactive": "This account is deactivated. Ask an admin.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].error_messages["required"] = "Enter your username."
        self.fields["password"].error_messages["required"] = "Enter your password."

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        one_time_password = get_one_time_password(user)
        if one_time_password is not None and one_time_password.is_expired(timezone.now()):
            raise forms.ValidationError(ONE_TIME_PASSWORD_EXPIRED, code="one_time_password_over")


class UserFormMeta:
    """Labels and help texts of user forms, in the console's words instead of Django's."""

    model = User
    field_classes: ClassVar = {"username": UsernameField}
    labels: ClassVar = {"is_superuser": "Superuser"}
    help_texts: ClassVar = {
        "username": "Used to sign in: at most 150 letters, digits and @ . + - _",
        "is_active": "Clear it so that the user can't sign in. The account and its history are kept.",
        "is_superuser": "The user has all permissions, whatever their roles. Only superusers can change this.",
    }
    error_messages: ClassVar = {"username": {"unique": USERNAME_EXISTS, "invalid": USERNAME_CHARACTERS}}


class UserForm(UserModelForm):
    """The form to change a user."""

    class Meta(UserFormMeta):
        fields = ("username", "first_name", "last_name", "email", "is_active", "groups", "is_superuser")


class NewUserForm(UserModelForm):
    """The form to create a user. It has no password: one is generated, or none if users sign in at a provider."""

    class Meta(UserFormMeta):
        fields = ("username", "first_name", "last_name", "email", "groups")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError(USERNAME_EXISTS)
        return name


class OwnPasswordForm(UserPasswordForm):
    """A form to change one's own password: the new one must differ, and the change is recorded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password2"].help_text = REPEAT_PASSWORD

    def is_current_password(self, password: str) -> bool:
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "new_password1" in values and self.is_current_password(values["new_password1"]):
            self.add_error("new_password1", SAME_PASSWORD)
        return values

    @transaction.atomic
    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        record_password_change(user)
        return user


class NewPasswordForm(OwnPasswordForm, AdminPasswordChangeForm):
    """The form to change one's own password, which asks for the current one."""

    def is_current_password(self, password: str) -> bool:
        return bool(password == self.cleaned_data.get("old_password"))


class FirstPasswordForm(OwnPasswordForm):
    """The form to replace one's one-time password, which it doesn't ask for again after the sign-in."""

    def is_current_password(self, password: str) -> bool:
        return self.user.check_password(password)


def record_password_change(user: User) -> None:
    """Make the new password permanent, and record the change in the activity log."""
    clear_one_time_password(user.get_username())
    log_activity(Actor(user.get_username(), VIA_CONSOLE), "changed password", USER_KIND, user.get_username())
