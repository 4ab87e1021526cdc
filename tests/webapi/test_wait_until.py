"""WaitUntil: a timer in a flow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.engine.jobs import HostedResults
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugins import wait_until
from packs.hosted_registry import HostedRegistry
from packs.models import Action, ActionState, HostedResource
from tests.webapi.stub import ask, hosting_of, let_time_pass, result, states

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "until"),
    [
        ({"until": "2026-11-21T14:00:00+02:00"}, NOON),
        ({"until": " 2026-11-21T13:00:00Z "}, NOON + timedelta(hours=1)),
        ({"for": "1h30m"}, NOON + timedelta(minutes=90)),
        ({"for": "90"}, NOON + timedelta(seconds=90)),
        ({"for": 90}, NOON + timedelta(seconds=90)),
        ({"until": "2020-01-01T00:00:00Z"}, datetime(2020, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_input_names_a_time_or_how_long(given: Any, until: datetime) -> None:
    assert wait_until.parse_end_time(given, NOON) == until


@pytest.mark.unit
@pytest.mark.parametrize(
    "given",
    [None, "10m", {}, {"until": "noon"}, {"for": "a while"}, {"for": True}, {"for": "1h", "until": "x"}, {"until": 5}],
)
def test_any_other_input_is_refused(given: Any) -> None:
    with pytest.raises(UserFailure, match="invalid input: must be"):
        wait_until.parse_end_time(given, NOON)


def work(hosting: HostedRegistry, **time: float) -> None:
    let_time_pass(**time)
    hosting.reconcile("WaitUntil", HostedResults())


@pytest.mark.integration
@pytest.mark.django_db
def test_a_flow_waits_without_asking_again_and_again() -> None:
    hosting = hosting_of(wait_until.ENTRY)
    ask(pack="WaitUntil", name="Wait", input={"for": "1h"})
    work(hosting)
    row = HostedResource.objects.get()
    assert (row.phase, states()) == ("queued", [ActionState.PENDING])
    assert round((row.next_at - row.taken_at).total_seconds()) == 3600
    # It looks at the clock; only the clock of the row was moved.
    HostedResource.objects.update(meta={"since": row.meta["since"], "until": row.meta["since"]})
    work(hosting, hours=1)
    assert (states(), result()["event"]) == ([ActionState.SUCCESS], "TimeReached")


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("given", [{"for": "0"}, {"until": "2020-01-01T00:00:00Z"}])
def test_a_time_that_is_over_is_reached_at_once(given: Any) -> None:
    ask(pack="WaitUntil", name="Wait", input=given)
    work(hosting_of(wait_until.ENTRY))
    assert result()["event"] == "TimeReached"


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("given", [{"for": "400d"}, "soon"])
def test_what_can_not_be_waited_for_is_fatal(given: Any) -> None:
    ask(pack="WaitUntil", name="Wait", input=given)
    work(hosting_of(wait_until.ENTRY))
    assert (states(), Action.objects.filter(step_id="alarm").count()) == ([ActionState.FATAL], 1)
