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

from flyte_site.changes import CONSOLE, SERVER, Actor, record
from flyte_site.models import OneTimePassword

FIRST_NAME = "admin"
OVER = (
    "This one-time password was not used in time, and is good no more. Somebody with the role admin can give you "
    "another."
)


def make_first_account() -> str | None:
    """Make the account `admin` where there is none at all; its password, which is told this once, or None.

    Where it is still the only one, and its password was not used in time, it gets another. Of several that call this
    at the same moment one does it. Nothing is done where FLYTE_LOCAL_ACCOUNTS is false.
    """
    if not settings.FLYTE_LOCAL_ACCOUNTS:
        return None
    if User.objects.exists():
        return _renewed_first_password()
    try:
        with transaction.atomic():
            user = User.objects.create_superuser(FIRST_NAME)
            record(SERVER, "created", "person", FIRST_NAME, superuser=True)
            return give_one_time_password(user)
    except IntegrityError:
        return None


@transaction.atomic
def _renewed_first_password() -> str | None:
    """Another password for the first account, where nobody has used the one that it has, and nobody can any more."""
    one = OneTimePassword.objects.select_related("user").filter(user__username=FIRST_NAME).first()
    now = timezone.now()
    if one is None or not one.is_over(now) or User.objects.count() > 1:
        return None
    if not OneTimePassword.objects.filter(pk=one.pk, made_at=one.made_at).update(made_at=now):
        return None
    record(SERVER, "gave one-time password", "person", FIRST_NAME)
    return give_one_time_password(one.user)


@transaction.atomic
def give_one_time_password(user: User) -> str:
    """Make a password for somebody, in place of theirs: it opens nothing but the choice of another, and not for long.

    Whoever is signed in with the one before is so no longer. The password is told this once.
    """
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.save(update_fields=["password"])
    OneTimePassword.objects.update_or_create(user=user, defaults={"made_at": timezone.now()})
    return password


def one_time_password(user: AbstractBaseUser | AnonymousUser) -> OneTimePassword | None:
    """What the person has, and must change before doing anything else; None for who has chosen a password."""
    return OneTimePassword.objects.filter(user_id=user.pk).first() if user.is_authenticated else None


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

    def confirm_login_allowed(self, user: User) -> None:
        super().confirm_login_allowed(user)
        given = one_time_password(user)
        if given is not None and given.is_over(timezone.now()):
            raise forms.ValidationError(OVER, code="one_time_password_over")


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
