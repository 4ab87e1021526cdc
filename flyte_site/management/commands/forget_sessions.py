"""`manage.py forget_sessions`: delete expired sessions of the console."""

from flyte_site.console.login_throttling import prune_sessions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """The command for the job that the server runs every hour."""

    help = "Delete expired sessions of the console."
    job = staticmethod(prune_sessions)
    nouns = ("session", "sessions")
