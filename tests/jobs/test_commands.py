"""Each job by hand: what the commands say, and that a dry run changes nothing."""

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

JOBS = {
    "delete_dead_packs": "2 packs {} deleted\n1 actions {are} orphaned: no registered pack can take them",
    "expire_executions": "1 executions and actions without execution {} deleted",
    "forget_flow_versions": "2 versions of flows {} deleted",
}


def an_old_world() -> None:
    """Two dead packs, an execution whose time is over, and a flow that was saved four times."""
    source = b.pack("Src")
    b.pack("Wrk")
    for number in range(3):
        b.save(b.step(id=f"step-{number}"))
    b.tell(source)
    b.save(b.step(id="newest"))
    Pack.objects.update(last_seen=timezone.now() - LONG_AGO)
    Execution.objects.update(changed_at=timezone.now() - LONG_AGO)
    FlowVersion.objects.update(saved_at=timezone.now() - LONG_AGO)


def everything() -> dict[str, list[object]]:
    """Every row of every table."""
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in apps.get_models()}


def run(command: str, *options: str) -> str:
    out = StringIO()
    call_command(command, *options, stdout=out)
    return out.getvalue().strip()


@override_settings(FLYTE_FLOW_VERSIONS_KEEP=1)
@pytest.mark.parametrize(("command", "said"), JOBS.items())
def test_a_dry_run_says_what_would_be_done_and_changes_nothing(command: str, said: str) -> None:
    an_old_world()
    before = everything()
    assert run(command, "--dry-run") == said.format("would be", are="would be")
    assert everything() == before
    assert run(command) == said.format("were", are="are")
    assert everything() != before
    assert run(command).startswith("0 ")


@override_settings(FLYTE_SHOULD_DELETE_DEAD_PACKS=True, FLYTE_FLOW_VERSIONS_KEEP=1)
def test_every_scheduled_job_has_a_command_of_its_name() -> None:
    for job in get_scheduled_jobs():
        assert job.is_shared or run(job.name, "--dry-run")


def test_the_list_tells_when_each_job_last_ran() -> None:
    jobs = get_scheduled_jobs()
    first = jobs[0]
    assert f"{first.name}: every 15 s; last ran: never; runs: 0" in run("jobs", "--list").splitlines()
    now = timezone.now()
    run_if_due(first, now)
    assert run_if_due(first, now + timedelta(seconds=15))
    told = run("jobs", "--list").splitlines()
    last = (now + timedelta(seconds=15)).isoformat(timespec="seconds")
    assert told[0] == f"{first.name}: every 15 s; last ran: {last}; runs: 1"
    assert len(told) == len(jobs) + 2


def test_the_list_tells_of_the_jobs_that_are_switched_off_and_why() -> None:
    off = {line.split(":")[0]: line for line in run("jobs", "--list").splitlines() if ": off" in line}
    assert off.keys() == {"delete_dead_packs", "forget_flow_versions"}
    assert off["delete_dead_packs"].endswith("off, since FLYTE_SHOULD_DELETE_DEAD_PACKS is false")
    with override_settings(FLYTE_SHOULD_DELETE_DEAD_PACKS=True, FLYTE_FLOW_VERSIONS_KEEP=5):
        told = run("jobs", "--list")
    assert ": off" not in told
    assert "delete_dead_packs: daily at" in told
