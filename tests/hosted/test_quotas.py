"""Quotas and constraints of hosted resources."""

import pytest
from django.utils import timezone

from flows.engine import control, jobs
from flows.models import Execution
from packs.hosted.plugin_api.interfaces import Requirements
from packs.models import Action, ActionState, HostedResource
from tests.hosted.stub_plugin import Service, ask, let_time_pass, raising, states, world

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_quota_admits_the_oldest_and_the_others_say_that_they_wait_for_it() -> None:
    w = world(resource_quotas={"default": 2})
    ask(5)
    w.round()
    rows = list(HostedResource.objects.order_by("id"))
    assert [row.state for row in rows] == ["live", "live", "waiting", "waiting", "waiting"]
    assert rows[-1].reason == "waiting for quota of namespace default: 2 of 2 in use"
    assert len(w.service.jobs) == 2
    w.service.jobs = dict.fromkeys(w.service.jobs, "done")
    w.later(seconds=31)
    assert (states()[:2], len(w.service.jobs)) == ([ActionState.SUCCESS] * 2, 4)


def test_quotas_are_by_namespace() -> None:
    w = world(resource_quotas={"a": 1})
    for name in ("a", "a", "b", "b"):
        ask(input={"namespace": name})
    w.round()
    assert sorted(HostedResource.objects.filter(state="live").values_list("namespace", flat=True)) == ["a", "b", "b"]


@pytest.mark.parametrize(("limit_name", "live"), [("perFlow", 1), ("perExecution", 3)])
def test_constraints_limit_a_flow_or_an_execution(limit_name: str, live: int) -> None:
    w = world()
    ask(3, input={limit_name: 1})
    w.round()
    assert HostedResource.objects.filter(state="live").count() == live


def test_a_resource_being_deleted_counts_against_the_quota() -> None:
    w = world(resource_quotas={"default": 1})
    ask(2)
    w.round()
    w.service.answers["delete"] = raising(OSError("gone"))
    control.cancel_execution(Execution.objects.order_by("id")[0].id)
    w.upkeep()
    w.later(seconds=1)
    assert HostedResource.objects.filter(state="waiting").count() == 1
    w.service.answers.clear()
    w.later(minutes=11)
    w.round()
    assert HostedResource.objects.get().state == "live"


def test_the_plugin_chooses_the_namespace() -> None:
    w = world(service=Service(requirements=Requirements("gpu")))
    ask()
    w.round()
    assert HostedResource.objects.get().namespace == "gpu"


def test_waiting_for_a_quota_does_not_count_against_a_short_timeout() -> None:
    w = world(resource_quotas={"default": 0})
    ask(timeout="5s")
    w.round()
    action = Action.objects.get(step_id="do")
    assert action.lease_ends_at
    assert (action.lease_ends_at - timezone.now()).total_seconds() > 500
    let_time_pass(minutes=9)
    w.round()
    assert (jobs.expire_leases(), states()) == (0, [ActionState.PENDING])
