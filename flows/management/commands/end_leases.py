"""`manage.py end_leases`: one round of looking for leases that ended."""

from flows.engine.jobs import expire_leases
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """What the server does by itself every FLYTE_LEASE_CHECK_SECONDS."""

    help = "End attempts whose lease has ended: they are tried again while their step's retries allow it, else FATAL."
    job = staticmethod(expire_leases)
    result_message = "{count} leases {were} ended"
    dry_run_verb, done_verb = "have", "had"
