"""`manage.py forget_changes`: forget who changed what long ago."""

from flyte_site.auth.activity_log import prune_activity_log
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every hour."""

    help = "Delete what is kept of changes FLYTE_TTL_IN_SECONDS after they were made."
    job = staticmethod(prune_activity_log)
    result_message = "{count} changes {were} forgotten"
