"""Poll times and timeouts of hosted actions."""

from datetime import timedelta

import pytest

from packs.hosted.plugin_api.config import CachingConfig
from packs.hosted.plugin_api.errors import Throttled
from packs.models import ActionState
from tests.hosted.stub_plugin import ask, raising, result, states, world

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_the_timeout_of_the_step_ends_the_action_and_deletes_the_resource() -> None:
    w = world()
    ask(timeout="10s")
    w.round()
    w.later(seconds=11)
    w.round()
    assert (states(), result()["payload"]["reason"], w.service.jobs) == ([ActionState.FATAL], "timeout", {})
    assert "delete: timeout" in w.service.journal


def test_a_job_that_finished_before_the_timeout_counts_even_if_polled_later() -> None:
    w = world()
    ask(timeout="40s")
    w.round()
    w.service.jobs = dict.fromkeys(w.service.jobs, "done well")
    w.later(seconds=41)
    assert (states(), result()["event"], w.service.journal) == ([ActionState.SUCCESS], "Done", ["create", "get"])


@pytest.mark.parametrize("error", [OSError("away"), Throttled()])
def test_a_failed_last_poll_does_not_prevent_the_timeout(error: Exception) -> None:
    w = world()
    ask(timeout="10s")
    w.round()
    w.service.answers["get"] = raising(error)
    w.later(seconds=11)
    assert (states(), result()["payload"]["reason"]) == ([ActionState.FATAL], "timeout")


@pytest.mark.parametrize("call", ["create", "get"])
def test_long_throttling_does_not_outlast_the_timeout(call: str) -> None:
    w = world()
    ask(timeout="2m")
    w.service.answers[call] = raising(Throttled(retry_after=3000))
    w.later(seconds=1)
    w.later(seconds=31)
    w.later(seconds=90)
    assert (states(), result()["payload"]["reason"]) == ([ActionState.FATAL], "timeout")
    assert w.service.count(call) == 1


def test_resources_are_polled_at_the_resync_interval_and_not_earlier() -> None:
    w = world(caching=CachingConfig(resync_interval=timedelta(seconds=60), workers=0))
    ask(2)
    w.round()
    w.later(seconds=55)
    assert w.service.count("get") == 0
    w.later(seconds=6)
    w.round()
    assert w.service.count("get") == 2
