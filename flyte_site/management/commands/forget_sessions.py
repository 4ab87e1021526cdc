"""`manage.py forget_sessions`: forget the sessions that are over."""

from flyte_site.console.throttling import forget_sessions
from flyte_site.periodic.by_hand import JobCommand


class Command(JobCommand):
    """What the server does by itself every hour."""

    help = "Delete the console's sessions that are over."
    job = staticmethod(forget_sessions)
    told = "{count} sessions {were} forgotten"
