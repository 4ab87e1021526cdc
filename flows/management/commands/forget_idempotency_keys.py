"""`manage.py forget_idempotency_keys`: delete expired idempotency keys."""

from flows.engine.jobs import prune_idempotency_keys
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every hour."""

    help = "Delete idempotency keys that are older than a day."
    job = staticmethod(prune_idempotency_keys)
    nouns = ("key", "keys")
