"""Deletion of dead packs in batches, and the schedule of its job."""

import threading
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from flyte_site.db.batch_deletion import BATCH_SIZE
from flyte_site.jobs import get_scheduled_jobs
from flyte_site.scheduler.runner import register_jobs, run_if_due
from packs.dead_packs import delete_dead_packs
from packs.models import Pack
from tests.jobs.statements import deletes

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


def create_packs(count: int, last_seen: datetime, prefix: str = "P") -> None:
    Pack.objects.bulk_create(
        [Pack(identity=f"{prefix}{number}", name=prefix, last_seen=last_seen) for number in range(count)]
    )


def test_a_pack_is_dead_after_the_grace_period() -> None:
    create_packs(2, NOW - WEEK, "Dead")
    create_packs(3, NOW - WEEK + timedelta(seconds=1), "Alive")
    assert delete_dead_packs(NOW) == 2
    assert set(Pack.objects.values_list("name", flat=True)) == {"Alive"}


@override_settings(FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS=60)
def test_the_grace_period_is_a_setting() -> None:
    create_packs(1, NOW - timedelta(seconds=61))
    assert delete_dead_packs(NOW) == 1


def test_many_packs_are_deleted_in_batches() -> None:
    create_packs(2 * BATCH_SIZE + 1, NOW - WEEK)
    with deletes("packs_pack") as statements:
        assert delete_dead_packs(NOW) == 2 * BATCH_SIZE + 1
    assert [in_transaction for _, in_transaction in statements] == [True] * 3
    assert max(parameters for parameters, _ in statements) <= BATCH_SIZE + 1


def test_a_dry_run_counts_and_changes_nothing() -> None:
    create_packs(3, NOW - WEEK)
    with deletes("packs_pack") as statements:
        assert delete_dead_packs(NOW, dry_run=True) == 3
    assert (statements, Pack.objects.count()) == ([], 3)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_job_is_scheduled_only_if_it_is_enabled(enabled: bool) -> None:
    with override_settings(FLYTE_SHOULD_DELETE_DEAD_PACKS=enabled):
        assert ("delete_dead_packs" in {job.name for job in get_scheduled_jobs()}) is enabled


@override_settings(
    FLYTE_SHOULD_DELETE_DEAD_PACKS=True,
    FLYTE_DELETE_DEAD_PACKS_AT_HH_COLON_MM=time(4, 30),
    FLYTE_ZONE=ZoneInfo("Asia/Tokyo"),
)
def test_the_job_runs_at_its_hour_in_the_time_zone_of_the_server() -> None:
    create_packs(1, timezone.now() - 2 * WEEK)
    (job,) = [job for job in get_scheduled_jobs() if job.name == "delete_dead_packs"]
    register_jobs([job], NOW)
    checks = [NOW + timedelta(minutes=minutes) for minutes in range(24 * 60)]
    assert [now for now in checks if run_if_due(job, now)] == [datetime(2026, 11, 21, 19, 30, tzinfo=UTC)]
    assert not Pack.objects.exists()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_at_once_delete_each_pack_once_and_neither_fails() -> None:
    create_packs(3 * BATCH_SIZE, NOW - WEEK)
    deleted: list[int] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait(30)
        try:
            deleted.append(delete_dead_packs(NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(deleted), sum(deleted), Pack.objects.count()) == (2, 3 * BATCH_SIZE, 0)
