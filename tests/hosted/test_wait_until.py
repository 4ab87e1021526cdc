"""The plugin WaitUntil, a timer in a flow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.engine.jobs import HostedResults
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugins import wait_until
from packs.hosted_registry import HostedRegistry
from packs.models import Action, ActionState, HostedResource
from tests.hosted.stub_plugin import ask, host_plugins, let_time_pass, result, states

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("wait_input", "until"),
    [
        ({"until": "2026-11-21T14:00:00+02:00"}, NOON),
        ({"until": " 2026-11-21T13:00:00Z "}, NOON + timedelta(hours=1)),
        ({"for": "1h30m"}, NOON + timedelta(minutes=90)),
        ({"for": "90"}, NOON + timedelta(seconds=90)),
        ({"for": 90}, NOON + timedelta(seconds=90)),
        ({"for": 0.5}, NOON + timedelta(milliseconds=500)),
        ({"for": "1h 30m"}, NOON + timedelta(minutes=90)),
        ({"until": "2026-11-21T14:00:00+0200"}, NOON),
        ({"until": "2026-11-21 12:00:00 +0000 UTC"}, NOON),
        ({"until": "2026-11-21 12:00"}, NOON),
        ({"until": "2026-11-21"}, NOON - timedelta(hours=12)),
        ({"until": "Sat, 21 Nov 2026 13:00:00 +0100"}, NOON),
        ({"until": "1795262400"}, NOON),
        ({"until": 1795262400}, NOON),
        ({"until": 1795262400000}, NOON),
        ({"until": "2020-01-01T00:00:00Z"}, datetime(2020, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_input_is_a_time_or_a_duration(wait_input: Any, until: datetime) -> None:
    assert wait_until.parse_end_time(wait_input, NOON) == until


@pytest.mark.unit
@pytest.mark.parametrize(
    "wait_input",
    [
        None,
        "10m",
        {},
        {"until": "noon"},
        {"until": None},
        {"until": True},
        {"until": ["2026-11-21"]},
        {"until": 5},
        {"until": 2026},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"for": "a while"},
        {"for": True},
        {"for": None},
        {"for": -1},
        {"for": "1h", "until": "x"},
    ],
)
def test_any_other_input_is_refused(wait_input: Any) -> None:
    with pytest.raises(UserFailure, match="invalid input: must be"):
        wait_until.parse_end_time(wait_input, NOON)


def work(hosting: HostedRegistry, **time: float) -> None:
    let_time_pass(**time)
    hosting.reconcile("WaitUntil", HostedResults())


@pytest.mark.integration
@pytest.mark.django_db
def test_a_flow_waits_without_polling() -> None:
    hosting = host_plugins(wait_until.ENTRY)
    ask(pack="WaitUntil", name="Wait", input={"for": "1h"})
    work(hosting)
    row = HostedResource.objects.get()
    assert (row.phase, states()) == ("queued", [ActionState.PENDING])
    assert round((row.next_call_at - row.taken_at).total_seconds()) == 3600
    # The plugin reads the real clock; `let_time_pass` changes only the row.
    HostedResource.objects.update(meta={"since": row.meta["since"], "until": row.meta["since"]})
    work(hosting, hours=1)
    assert (states(), result()["event"]) == ([ActionState.SUCCESS], "TimeReached")


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("wait_input", [{"for": "0"}, {"until": "2020-01-01T00:00:00Z"}])
def test_a_past_time_is_reached_immediately(wait_input: Any) -> None:
    ask(pack="WaitUntil", name="Wait", input=wait_input)
    work(host_plugins(wait_until.ENTRY))
    assert result()["event"] == "TimeReached"


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("wait_input", [{"for": "400d"}, "soon"])
def test_an_invalid_time_is_fatal(wait_input: Any) -> None:
    ask(pack="WaitUntil", name="Wait", input=wait_input)
    work(host_plugins(wait_until.ENTRY))
    assert (states(), Action.objects.filter(step_id="alarm").count()) == ([ActionState.FATAL], 1)
