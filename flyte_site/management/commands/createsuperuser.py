"""`manage.py createsuperuser`: Django's, with a note of it."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User

from flyte_site.changes import COMMAND_LINE, record


class Command(createsuperuser.Command):
    """Makes an account that may do everything."""

    def handle(self, *args: Any, **options: Any) -> None:
        known = set(User.objects.values_list("pk", flat=True))
        super().handle(*args, **options)
        for person in User.objects.exclude(pk__in=known):
            record(COMMAND_LINE, "created", "person", person.get_username(), superuser=True)
