"""`manage.py changepassword`: Django's command, with an entry in the activity log."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword

from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, USER_KIND, log_activity
from flyte_site.console.accounts import clear_one_time_password


class Command(changepassword.Command):
    """The command that sets a permanent password, which replaces a one-time password."""

    help = "Set a user's password. It replaces a one-time password."

    def handle(self, *args: Any, **options: Any) -> str:
        output = super().handle(*args, **options)
        name = options["username"] or getpass.getuser()
        clear_one_time_password(name)
        log_activity(COMMAND_LINE_ACTOR, "changed password", USER_KIND, name)
        return str(output)
