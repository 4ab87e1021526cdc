"""The first account, and passwords that are good for one sign-on."""

import secrets

from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import IntegrityError, transaction

from flyte_site.models import OneTimePassword

FIRST_NAME = "admin"


def make_first_account() -> str | None:
    """Make the account `admin` where there is none at all; its password, which is told this once, or None.

    Of several that call this at the same moment one makes the account.
    """
    if User.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    try:
        with transaction.atomic():
            user = User.objects.create_superuser(FIRST_NAME, password=password)
            OneTimePassword.objects.create(user=user)
    except IntegrityError:
        return None
    return password


def must_change_password(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the person may do nothing before choosing a password."""
    return user.is_authenticated and OneTimePassword.objects.filter(user_id=user.pk).exists()


class NewPasswordForm(AdminPasswordChangeForm):
    """Choosing a password ends what was good for one sign-on."""

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit)
        OneTimePassword.objects.filter(user=user).delete()
        return user
