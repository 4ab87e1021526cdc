"""`manage.py forget_attempts`: forget wrong passwords that count no longer."""

from flyte_site.console.throttling import forget_attempts
from flyte_site.periodic.by_hand import JobCommand


class Command(JobCommand):
    """What the server does by itself every five minutes."""

    help = "Delete the wrong passwords that count no longer against a name, and the oldest where there are too many."
    job = staticmethod(forget_attempts)
    told = "{count} attempts {were} forgotten"
