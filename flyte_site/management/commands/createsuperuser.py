"""`manage.py createsuperuser`: Django's command, with an entry in the activity log."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User

from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, USER_KIND, log_activity


class Command(createsuperuser.Command):
    """The command that creates an account with all permissions."""

    help = "Create a user with all permissions (a superuser)."

    def handle(self, *args: Any, **options: Any) -> None:
        existing_ids = set(User.objects.values_list("pk", flat=True))
        super().handle(*args, **options)
        for user in User.objects.exclude(pk__in=existing_ids):
            log_activity(COMMAND_LINE_ACTOR, "created", USER_KIND, user.get_username(), superuser=True)
