"""`manage.py forget_attempts`: delete expired records of wrong passwords."""

from flyte_site.console.login_throttling import prune_login_attempts
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """The command for the job that the server runs every five minutes."""

    help = "Delete expired records of wrong passwords. If too many are left, delete the oldest ones."
    job = staticmethod(prune_login_attempts)
    nouns = ("attempt", "attempts")
