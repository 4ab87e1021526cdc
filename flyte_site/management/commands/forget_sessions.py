"""`manage.py forget_sessions`: forget the sessions that are over."""

from flyte_site.console.login_throttling import prune_sessions
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every hour."""

    help = "Delete the console's sessions that are over."
    job = staticmethod(prune_sessions)
    result_message = "{count} sessions {were} forgotten"
