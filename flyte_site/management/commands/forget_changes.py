"""`manage.py forget_changes`: delete old entries of the activity log."""

from flyte_site.auth.activity_log import prune_activity_log
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """The command for the job that the server runs every hour."""

    help = "Delete entries of the activity log that are older than FLYTE_TTL_IN_SECONDS."
    job = staticmethod(prune_activity_log)
    nouns = ("change", "changes")
