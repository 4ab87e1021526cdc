"""Everything that runs by itself, and when: one page for Celery's beat and for the one machine without Redis."""

from functools import partial

from django.conf import settings

from flows.expiry import expire_executions, forget_flow_versions
from flows.tasks import end_leases, forget_idempotency_keys, work_hosted
from flyte_site.changes import forget_changes
from flyte_site.console.throttling import forget_attempts, forget_sessions
from flyte_site.periodic.claims import Job
from flyte_site.periodic.timing import Daily, Every
from packs.tasks import delete_dead_packs
from packs.webapi.hosting import hosting

MINUTE = 60
HOUR = 60 * MINUTE
HOSTED_SECONDS = 2
HOSTED_UPKEEP_SECONDS = 5


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
    return jobs + hosted_jobs()


def switched_off() -> dict[str, str]:
    """The jobs that the settings don't ask for, by name: what to set for each."""
    asked = {job.name for job in scheduled_jobs()}
    off = {
        "forget_flow_versions": "FLYTE_FLOW_VERSIONS_KEEP is 0, which keeps all of them",
        "delete_dead_packs": "FLYTE_SHOULD_DELETE_DEAD_PACKS is false",
    }
    return {name: why for name, why in off.items() if name not in asked}


def hosted_jobs() -> list[Job]:
    """The work for packs that the server hosts: any number of processes do it at once."""
    hosted = hosting()
    jobs = [Job(f"work_{one}", Every(HOSTED_SECONDS), partial(work_hosted, one), shared=True) for one in hosted.hosts]
    return [*jobs, Job("look_after_hosted", Every(HOSTED_UPKEEP_SECONDS), hosted.upkeep, shared=True)]
