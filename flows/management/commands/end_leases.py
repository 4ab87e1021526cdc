"""`manage.py end_leases`: end expired leases once."""

from flows.engine.jobs import expire_leases
from flyte_site.scheduler.command import JobCommand


class Command(JobCommand):
    """Manual run of the job that the server repeats every FLYTE_LEASE_CHECK_SECONDS."""

    help = (
        "End attempts with an expired lease. An action is retried if its step allows more retries; otherwise it fails "
        "with FATAL."
    )
    job = staticmethod(expire_leases)
    nouns, participle = ("expired lease", "expired leases"), "ended"
