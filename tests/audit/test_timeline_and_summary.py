"""The intervals of an action, and the summary of an execution in one line."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.summary import summarize_execution
from audit.timeline import IntervalEnd, IntervalKind, build_intervals, get_status, total_run_time
from flows.models import Execution, FlowVersion
from flyte_site.core.timestamps import format_rfc3339
from packs.models import Action
from tests.flows.builders import document, follower, step

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
FLOW = document(step(id="deploy"), follower("deploy", id="notify"))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def action(*states: tuple[str, float], **fields: Any) -> Action:
    """Build an action with these states, each at a number of seconds after the start."""
    entries = [{"value": value, "time": format_rfc3339(at(seconds))} for value, seconds in states]
    attempts = [value for value, _ in states].count("PENDING")
    defaults = {"id": f"{len(states)}", "step_id": "deploy", "pack_name": "Shell", "name": "Run", "ready_at": START}
    return Action(
        **{
            **defaults,
            "state_log": entries,
            "state": states[-1][0],
            "attempt": attempts,
            "claimed_by": "Shell.x",
            **fields,
        }
    )


def ended(attempt: int, **more: Any) -> dict[str, Any]:
    return {"attempt": attempt, "packId": "Shell.gone", "time": "", "result": {}, **more}


def summarize(*actions: Action, now: float = 0, errors: list[Any] | None = None, flow: dict[str, Any] = FLOW) -> str:
    version = FlowVersion(document=flow)
    return summarize_execution(Execution(version=version, errors=errors or []), actions, at(now))


def describe_intervals(subject: Action) -> list[tuple[str, int, str, float]]:
    """Return kind, attempt, end and seconds of each interval, as of 100 seconds after the start."""
    return [
        (interval.kind.value, interval.attempt, interval.ended_with.value, interval.duration(at(100)).total_seconds())
        for interval in build_intervals(subject)
    ]


def test_a_finished_action_has_a_queued_and_a_claimed_interval() -> None:
    assert describe_intervals(action(("NEW", 0), ("PENDING", 2), ("SUCCESS", 5))) == [
        ("waiting", 1, "taken", 2),
        ("held", 1, "SUCCESS", 3),
    ]


def test_the_interval_of_a_queued_action_is_open() -> None:
    (only,) = build_intervals(action(("NEW", 40)))
    assert (only.kind, only.end, only.ended_with, only.duration(at(100))) == (
        IntervalKind.QUEUED, None, IntervalEnd.OPEN, timedelta(seconds=60),
    )  # fmt: skip


def test_the_interval_of_a_claimed_action_is_open() -> None:
    assert describe_intervals(action(("NEW", 0), ("PENDING", 10)))[-1] == ("held", 1, "", 90)


def test_each_attempt_has_its_intervals_and_its_claimer() -> None:
    retried = action(
        ("NEW", 0), ("PENDING", 1), ("NEW", 3), ("PENDING", 6), ("NEW", 10), ("PENDING", 15), ("FATAL", 21),
        attempt_log=[ended(1), ended(2, leaseEnded=True), ended(3, late=True)],
    )  # fmt: skip
    assert describe_intervals(retried) == [
        ("waiting", 1, "taken", 1),
        ("held", 1, "retried", 2),
        ("waiting", 2, "taken", 3),
        ("held", 2, "lease expired", 4),
        ("waiting", 3, "taken", 5),
        ("held", 3, "FATAL", 6),
    ]
    assert [interval.claimed_by for interval in build_intervals(retried) if interval.kind is IntervalKind.CLAIMED] == [
        "Shell.gone",
        "Shell.gone",
        "Shell.x",
    ]
    assert total_run_time(build_intervals(retried), START) == timedelta(seconds=12)


def test_a_manual_retry_follows_an_ended_interval() -> None:
    assert describe_intervals(action(("NEW", 0), ("PENDING", 1), ("FATAL", 2), ("NEW", 50)))[2:] == [
        ("ended", 1, "retried", 48),
        ("waiting", 2, "", 50),
    ]


def test_a_cancellation_ends_a_queued_or_claimed_interval() -> None:
    assert describe_intervals(action(("NEW", 0), ("CANCELLED", 4))) == [("waiting", 1, "CANCELLED", 4)]
    assert describe_intervals(action(("NEW", 0), ("PENDING", 1), ("CANCELLED", 4)))[-1] == ("held", 1, "CANCELLED", 3)


def test_a_slow_clock_causes_no_negative_duration() -> None:
    assert describe_intervals(action(("NEW", 5), ("PENDING", 3), ("SUCCESS", 2))) == [
        ("waiting", 1, "taken", 0),
        ("held", 1, "SUCCESS", 0),
    ]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (action(("NEW", 0)), "queued"),
        (action(("NEW", 0), ready_at=at(30)), "queued"),
        (action(("NEW", 0), ("PENDING", 1)), "running"),
        (action(("NEW", 0), ("PENDING", 1), ("NEW", 2), ready_at=at(30)), "waiting for retry"),
        (action(("NEW", 0), ("PENDING", 1), ("NEW", 2), ready_at=at(9)), "queued"),
        (action(("NEW", 0), ("PENDING", 1), ("SUCCESS", 2)), "succeeded"),
        (action(("NEW", 0), ("PENDING", 1), ("FATAL", 2)), "failed"),
        (action(("NEW", 0), ("CANCELLED", 2)), "cancelled"),
    ],
)
def test_an_action_has_a_status_in_the_words_of_the_glossary(subject: Action, expected: str) -> None:
    assert get_status(subject, at(10)) == expected


DONE = action(("NEW", 0), ("PENDING", 1), ("SUCCESS", 3.1))


@pytest.mark.parametrize(
    ("second", "now", "end"),
    [
        (action(("NEW", 4), step_id="notify", pack_name="Slack", id="9"), 184, "notify queued for Slack for 3 min"),
        (
            action(("NEW", 4), ("PENDING", 5), step_id="notify", id="9"),
            17,
            "notify (Shell.Run) running on Shell.x for 12 s",
        ),
        (
            action(("NEW", 4), ("PENDING", 5), ("NEW", 6), step_id="notify", id="9", ready_at=at(30)),
            10,
            "notify (Shell.Run) waiting for retry in 20 s",
        ),
        (
            action(("NEW", 4), ("PENDING", 5), ("NEW", 6), step_id="notify", id="9", ready_at=at(7)),
            16,
            "notify queued for Shell for 10 s, attempt 2",
        ),
        (action(("NEW", 4), ("CANCELLED", 5), step_id="notify", id="9"), 9, "notify (Shell.Run, cancelled)"),
        (
            action(("NEW", 4), ("PENDING", 5), ("NEW", 6), ("PENDING", 7), ("FATAL", 8), step_id="notify", id="9"),
            9,
            "notify (Shell.Run, failed after 2.0 s, attempt 2)",
        ),
    ],
)
def test_an_execution_is_summarized_in_one_line(second: Action, now: float, end: str) -> None:
    second.triggered_by = "3"
    assert summarize(DONE, second, now=now) == f"Src.Go → deploy (Shell.Run, succeeded in 2.1 s) → {end}"


def test_of_many_steps_the_first_and_the_last_are_named() -> None:
    actions = [
        action(("NEW", 0), ("CANCELLED", 1), step_id=f"s{n}", id=f"{n:02}", triggered_by=f"{n - 1:02}" * (n > 1))
        for n in range(1, 31)
    ]
    parts = [f"s{n} (Shell.Run, cancelled)" for n in (1, 2, 3, 4, 29, 30)]
    assert summarize(*actions).split(" → ") == ["an event", *parts[:4], "24 more steps", *parts[4:]]


@pytest.mark.parametrize(
    ("causes", "end"),
    [
        ({"a": "", "b": ""}, "[a | b]"),
        ({"a": "", "b": "a", "c": "a"}, "a → [b | c]"),
        ({"a": "", "b": "a", "c": "a", "d": "b"}, "a → [b → d | c]"),
        ({"a": "", "b": "", "c": "b", "d": "c", "e": "c"}, "[a | b → c → [d | e]]"),
        ({"a": "", "b": "a", "d": "gone", "e": "d"}, "[a → b | d → e]"),
        (dict.fromkeys("abcdef", ""), "[a | b | c | d | e | f]"),
        (dict.fromkeys("abcdefghi", ""), "[a | b | c | d | e]; then 4 more steps, the last i"),
    ],
)
def test_branches_are_in_brackets(causes: dict[str, str], end: str) -> None:
    actions = [
        action(("NEW", 0), ("CANCELLED", 1), id=name, step_id=name, triggered_by=cause)
        for name, cause in causes.items()
    ]
    assert summarize(*actions).replace(" (Shell.Run, cancelled)", "") == f"an event → {end}"


def test_errors_are_at_the_end() -> None:
    assert summarize(DONE, errors=[{"stepId": "notify"}, {"stepId": ""}]).endswith(
        " → notify could not be evaluated → the flow could not be evaluated"
    )


def test_a_step_without_an_id_has_its_default_id() -> None:
    unnamed = action(("NEW", 0), step_id="step-1")
    assert summarize(unnamed, flow=document(step())) == "Src.Go → step-1 queued for Shell for 0 ms"


def test_an_execution_without_actions_is_summarized_as_an_event() -> None:
    assert summarize() == "an event"
