"""`manage.py forget_attempts`: forget wrong passwords that count no longer."""

from flyte_site.console.login_throttling import prune_login_attempts
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every five minutes."""

    help = "Delete the wrong passwords that count no longer against a name, and the oldest where there are too many."
    job = staticmethod(prune_login_attempts)
    result_message = "{count} attempts {were} forgotten"
