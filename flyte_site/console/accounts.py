"""Accounts, and passwords that are made for somebody and are good for one sign-in."""

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import IntegrityError, transaction

from flyte_site.changes import CONSOLE, SERVER, Actor, record
from flyte_site.models import OneTimePassword

FIRST_NAME = "admin"


def make_first_account() -> str | None:
    """Make the account `admin` where there is none at all; its password, which is told this once, or None.

    Of several that call this at the same moment one makes it. None is made where FLYTE_LOCAL_ACCOUNTS is false.
    """
    if not settings.FLYTE_LOCAL_ACCOUNTS or User.objects.exists():
        return None
    try:
        with transaction.atomic():
            user = User.objects.create_superuser(FIRST_NAME)
            record(SERVER, "created", "person", FIRST_NAME, superuser=True)
            return give_one_time_password(user)
    except IntegrityError:
        return None


@transaction.atomic
def give_one_time_password(user: User) -> str:
    """Make a password for somebody, in place of theirs: it opens nothing but the choice of another.

    Whoever is signed in with the one before is so no longer. The password is told this once.
    """
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    OneTimePassword.objects.get_or_create(user=user)
    return password


def must_change_password(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the person may do nothing before choosing a password."""
    return user.is_authenticated and OneTimePassword.objects.filter(user_id=user.pk).exists()


def end_one_time_password(name: str) -> None:
    """This person's password is as good as any from now on."""
    OneTimePassword.objects.filter(user__username=name).delete()


if TYPE_CHECKING:
    OfPerson = forms.ModelForm[User]
else:
    OfPerson = forms.ModelForm


class SignInForm(AuthenticationForm):
    """A name and a password."""

    error_messages = {
        "invalid_login": "There is nobody with this name and this password. Capital and small letters count.",
        "inactive": "This account is switched off. Ask somebody with the role admin.",
    }


class AboutPerson:
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


class PersonForm(OfPerson):
    """What is known of somebody."""

    class Meta(AboutPerson):
        fields = ("username", "first_name", "last_name", "email", "is_active", "groups", "is_superuser")


class NewPersonForm(OfPerson):
    """Who gets an account. No password is asked for: one is made, or none where people sign in elsewhere."""

    class Meta(AboutPerson):
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
        end_one_time_password(user.get_username())
        record(Actor(user.get_username(), CONSOLE), "changed password", "person", user.get_username())
        return user
