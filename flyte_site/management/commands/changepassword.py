"""`manage.py changepassword`: Django's, with a note of it."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword

from flyte_site.changes import COMMAND_LINE, record
from flyte_site.console.accounts import end_one_time_password


class Command(changepassword.Command):
    """A password that is set here is nobody's for one time only."""

    def handle(self, *args: Any, **options: Any) -> str:
        told = super().handle(*args, **options)
        name = options["username"] or getpass.getuser()
        end_one_time_password(name)
        record(COMMAND_LINE, "changed password", "person", name)
        return str(told)
