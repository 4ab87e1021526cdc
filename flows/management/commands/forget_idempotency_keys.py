"""`manage.py forget_idempotency_keys`: delete keys that nobody needs any more."""

from flows.engine.jobs import prune_idempotency_keys
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every hour."""

    help = "Delete idempotency keys that are older than a day."
    job = staticmethod(prune_idempotency_keys)
    result_message = "{count} keys {were} forgotten"
