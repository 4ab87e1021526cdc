"""The commands of jobs: their output, and dry runs."""

from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from flows.models import Execution, FlowVersion
from flyte_site.jobs import get_scheduled_jobs
from flyte_site.scheduler.runner import run_if_due
from packs.models import Pack
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LONG_AGO = timedelta(days=900)

NO_PACK = "orphaned: no registered pack can take them"
JOBS = {
    "delete_dead_packs": (
        f"2 packs would be deleted\n1 action would be {NO_PACK}",
        f"2 packs were deleted\n1 action is {NO_PACK}",
    ),
    "expire_executions": (
        "1 execution or action without an execution would be deleted",
        "1 execution or action without an execution was deleted",
    ),
    "forget_flow_versions": ("2 flow versions would be deleted", "2 flow versions were deleted"),
}


def create_old_rows() -> None:
    """Create two dead packs, an expired execution, and a flow that was saved four times."""
    source = b.pack("Src")
    b.pack("Wrk")
    for number in range(3):
        b.save(b.step(id=f"step-{number}"))
    b.tell(source)
    b.save(b.step(id="newest"))
    Pack.objects.update(last_seen=timezone.now() - LONG_AGO)
    Execution.objects.update(changed_at=timezone.now() - LONG_AGO)
    FlowVersion.objects.update(saved_at=timezone.now() - LONG_AGO)


def read_all_rows() -> dict[str, list[object]]:
    """Read all rows of all tables."""
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in apps.get_models()}


def run(command: str, *options: str) -> str:
    out = StringIO()
    call_command(command, *options, stdout=out)
    return out.getvalue().strip()


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=1)
@pytest.mark.parametrize(("command", "messages"), JOBS.items())
def test_a_dry_run_reports_the_changes_and_makes_none(command: str, messages: tuple[str, str]) -> None:
    create_old_rows()
    before = read_all_rows()
    assert run(command, "--dry-run") == messages[0]
    assert read_all_rows() == before
    assert run(command) == messages[1]
    assert read_all_rows() != before
    assert run(command).startswith("0 ")


@override_settings(FLYTE_SHOULD_DELETE_DEAD_PACKS=True, FLYTE_FLOW_VERSIONS_KEEP=1)
def test_every_scheduled_job_has_a_command_of_its_name() -> None:
    for job in get_scheduled_jobs():
        assert job.is_shared or run(job.name, "--dry-run")


def test_the_list_has_the_last_run_of_each_job() -> None:
    jobs = get_scheduled_jobs()
    first = jobs[0]
    assert f"{first.name}: every 15 s; last ran: never; runs: 0" in run("jobs", "--list").splitlines()
    now = timezone.now()
    run_if_due(first, now)
    assert run_if_due(first, now + timedelta(seconds=15))
    output = run("jobs", "--list").splitlines()
    last = (now + timedelta(seconds=15)).isoformat(timespec="seconds")
    assert output[0] == f"{first.name}: every 15 s; last ran: {last}; runs: 1"
    assert len(output) == len(jobs) + 2


def test_the_list_has_disabled_jobs_with_the_reason() -> None:
    disabled_jobs = {line.split(":")[0]: line for line in run("jobs", "--list").splitlines() if ": disabled" in line}
    assert disabled_jobs.keys() == {"delete_dead_packs", "forget_flow_versions"}
    assert disabled_jobs["delete_dead_packs"].endswith("disabled, because FLYTE_SHOULD_DELETE_DEAD_PACKS is false")
    with override_settings(FLYTE_SHOULD_DELETE_DEAD_PACKS=True, FLYTE_FLOW_VERSIONS_KEEP=5):
        output = run("jobs", "--list")
    assert ": disabled" not in output
    assert "delete_dead_packs: daily at" in output
