"""`manage.py forget_changes`: forget who changed what long ago."""

from flyte_site.changes import forget_changes
from flyte_site.periodic.by_hand import JobCommand


class Command(JobCommand):
    """What the server does by itself every hour."""

    help = "Delete what is kept of changes FLYTE_TTL_IN_SECONDS after they were made."
    job = staticmethod(forget_changes)
    told = "{count} changes {were} forgotten"
