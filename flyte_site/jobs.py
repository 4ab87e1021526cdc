"""All periodic jobs and their schedules, for Celery's beat and for a single machine without Redis."""

from functools import partial

from django.conf import settings

from flows.engine.jobs import expire_leases, prune_idempotency_keys, run_hosted_pack
from flows.engine.retention import prune_executions, prune_flow_versions
from flyte_site.auth.activity_log import prune_activity_log
from flyte_site.console.login_throttling import prune_login_attempts, prune_sessions
from flyte_site.scheduler.runner import PeriodicJob
from flyte_site.scheduler.schedules import DailySchedule, FixedIntervalSchedule
from packs.dead_packs import delete_dead_packs
from packs.hosted_registry import get_hosted_registry

MINUTE = 60
HOUR = 60 * MINUTE
HOSTED_INTERVAL_SECONDS = 2
HOSTED_UPKEEP_INTERVAL_SECONDS = 5


def get_scheduled_jobs() -> list[PeriodicJob]:
    """Return the jobs that the settings enable."""
    jobs = [
        PeriodicJob("end_leases", FixedIntervalSchedule(settings.FLYTE_LEASE_CHECK_SECONDS), expire_leases),
        PeriodicJob("expire_executions", FixedIntervalSchedule(5 * MINUTE), prune_executions),
        PeriodicJob("forget_attempts", FixedIntervalSchedule(5 * MINUTE), prune_login_attempts),
        PeriodicJob("forget_changes", FixedIntervalSchedule(HOUR), prune_activity_log),
        PeriodicJob("forget_idempotency_keys", FixedIntervalSchedule(HOUR), prune_idempotency_keys),
        PeriodicJob("forget_sessions", FixedIntervalSchedule(HOUR), prune_sessions),
    ]
    if settings.FLYTE_FLOW_VERSIONS_KEEP:
        jobs.append(PeriodicJob("forget_flow_versions", FixedIntervalSchedule(HOUR), prune_flow_versions))
    if settings.FLYTE_SHOULD_DELETE_DEAD_PACKS:
        schedule = DailySchedule(settings.FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM, settings.FLYTE_ZONE)
        jobs.append(PeriodicJob("delete_dead_packs", schedule, delete_dead_packs))
    return jobs + get_hosted_jobs()


def get_disabled_jobs() -> dict[str, str]:
    """Return why the settings disable jobs, by job name."""
    enabled = {job.name for job in get_scheduled_jobs()}
    disabled = {
        "forget_flow_versions": "FLYTE_FLOW_VERSIONS_KEEP is 0, which keeps all versions",
        "delete_dead_packs": "FLYTE_SHOULD_DELETE_DEAD_PACKS is false",
    }
    return {name: reason for name, reason in disabled.items() if name not in enabled}


def get_hosted_jobs() -> list[PeriodicJob]:
    """Return the shared jobs of hosted packs, which any number of processes run concurrently."""
    hosted = get_hosted_registry()
    jobs = [
        PeriodicJob(
            f"work_{name}",
            FixedIntervalSchedule(HOSTED_INTERVAL_SECONDS),
            partial(run_hosted_pack, name),
            is_shared=True,
        )
        for name in hosted.runtimes
    ]
    return [
        *jobs,
        PeriodicJob(
            "maintain_hosted_packs",
            FixedIntervalSchedule(HOSTED_UPKEEP_INTERVAL_SECONDS),
            hosted.run_upkeep,
            is_shared=True,
        ),
    ]
