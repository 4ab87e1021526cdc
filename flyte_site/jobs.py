"""Everything that runs by itself, and when: one page for Celery's beat and for the one machine without Redis."""

from django.conf import settings

from flows.expiry import expire_executions, forget_flow_versions
from flows.tasks import end_leases, forget_idempotency_keys
from flyte_site.changes import forget_changes
from flyte_site.console.throttling import forget_attempts, forget_sessions
from flyte_site.periodic.claims import Job
from flyte_site.periodic.timing import Daily, Every
from packs.tasks import delete_dead_packs

MINUTE = 60
HOUR = 60 * MINUTE


def scheduled_jobs() -> list[Job]:
    """The jobs that the settings ask for."""
    jobs = [
        Job("end_leases", Every(settings.FLYTE_LEASE_CHECK_SECONDS), end_leases),
        Job("expire_executions", Every(5 * MINUTE), expire_executions),
        Job("forget_attempts", Every(5 * MINUTE), forget_attempts),
        Job("forget_changes", Every(HOUR), forget_changes),
        Job("forget_idempotency_keys", Every(HOUR), forget_idempotency_keys),
        Job("forget_sessions", Every(HOUR), forget_sessions),
    ]
    if settings.FLYTE_FLOW_VERSIONS_KEEP:
        jobs.append(Job("forget_flow_versions", Every(HOUR), forget_flow_versions))
    if settings.FLYTE_SHOULD_DELETE_DEAD_PACKS:
        at = Daily(settings.FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM, settings.FLYTE_ZONE)
        jobs.append(Job("delete_dead_packs", at, delete_dead_packs))
    return jobs
