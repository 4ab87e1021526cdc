"""Accounts, and passwords that are made for somebody and are good for one sign-in."""

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import IntegrityError, transaction
from django.utils import timezone

from flyte_site.auth.activity_log import SERVER_ACTOR, VIA_CONSOLE, Actor, log_activity
from flyte_site.models import OneTimePassword

FIRST_ADMIN_USERNAME = "admin"
ONE_TIME_PASSWORD_EXPIRED = "This one-time password has expired. Ask an admin for a new one."  # noqa: S105 - a message


def create_first_admin() -> str | None:
    """Make the account `admin` where there is none at all; its password, which is told this once, or None.

    Where it is still the only one, and its password was not used in time, it gets another. Of several that call this
    at the same moment one does it. Nothing is done where FLYTE_LOCAL_ACCOUNTS is false.
    """
    if not settings.FLYTE_LOCAL_ACCOUNTS:
        return None
    if User.objects.exists():
        return _renew_first_admin_password()
    try:
        with transaction.atomic():
            user = User.objects.create_superuser(FIRST_ADMIN_USERNAME)
            log_activity(SERVER_ACTOR, "created", "person", FIRST_ADMIN_USERNAME, superuser=True)
            return set_one_time_password(user)
    except IntegrityError:
        return None


@transaction.atomic
def _renew_first_admin_password() -> str | None:
    """Another password for the first account, where nobody has used the one that it has, and nobody can any more."""
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
    log_activity(SERVER_ACTOR, "created one-time password", "person", FIRST_ADMIN_USERNAME)
    return set_one_time_password(one_time_password.user)


@transaction.atomic
def set_one_time_password(user: User) -> str:
    """Make a password for somebody, in place of theirs: it opens nothing but the choice of another, and not for long.

    Whoever is signed in with the one before is so no longer. The password is told this once.
    """
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    OneTimePassword.objects.update_or_create(user=user, defaults={"made_at": timezone.now()})
    return password


def get_one_time_password(user: AbstractBaseUser | AnonymousUser) -> OneTimePassword | None:
    """What the person has, and must change before doing anything else; None for who has chosen a password."""
    return OneTimePassword.objects.filter(user_id=user.pk).first() if user.is_authenticated else None


def clear_one_time_password(name: str) -> None:
    """This person's password is as good as any from now on."""
    OneTimePassword.objects.filter(user__username=name).delete()


if TYPE_CHECKING:
    UserModelForm = forms.ModelForm[User]
else:
    UserModelForm = forms.ModelForm


class SignInForm(AuthenticationForm):
    """A name and a password."""

    error_messages = {
        "invalid_login": "There is nobody with this name and this password. Capital and small letters count.",
        "inactive": "This account is switched off. Ask somebody with the role admin.",
    }

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        one_time_password = get_one_time_password(user)
        if one_time_password is not None and one_time_password.is_expired(timezone.now()):
            raise forms.ValidationError(ONE_TIME_PASSWORD_EXPIRED, code="one_time_password_over")


class UserFormMeta:
    """What forms say of a person, in the console's words instead of Django's."""

    model = User
    field_classes: ClassVar = {"username": UsernameField}
    labels: ClassVar = {"is_superuser": "May do everything"}
    help_texts: ClassVar = {
        "username": "What they sign in with: at most 150 letters, digits and @ . + - _",
        "is_active": "Without it the account is switched off: it stays, with its history, but nobody signs in with it.",
        "is_superuser": "Whatever their roles are. Only somebody who may do everything gives this, or takes it.",
    }
    error_messages: ClassVar = {"username": {"unique": "There is somebody of this name already."}}


class UserForm(UserModelForm):
    """What is known of somebody."""

    class Meta(UserFormMeta):
        fields = ("username", "first_name", "last_name", "email", "is_active", "groups", "is_superuser")


class NewUserForm(UserModelForm):
    """Who gets an account. No password is asked for: one is made, or none where people sign in elsewhere."""

    class Meta(UserFormMeta):
        fields = ("username", "first_name", "last_name", "email", "groups")

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError("There is somebody of this name already.")
        return name


class NewPasswordForm(AdminPasswordChangeForm):
    """Choosing a password ends what was good for one sign-in."""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if "new_password1" in values and values["new_password1"] == values.get("old_password"):
            self.add_error("new_password1", "The new password must be another than the old one.")
        return values

    @transaction.atomic
    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        clear_one_time_password(user.get_username())
        log_activity(Actor(user.get_username(), VIA_CONSOLE), "changed password", "person", user.get_username())
        return user
