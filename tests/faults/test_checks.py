"""The checks on invented stories: correct ones pass, and each check finds its defect."""

from dataclasses import replace

import pytest

from tests.faults.checks import CHECKS, database_outages, failed_checks
from tests.faults.flows import FATAL
from tests.faults.journal import Note
from tests.faults.made_up import (
    KEY,
    action,
    cancelled,
    entries,
    fatal,
    note,
    result,
    story,
    tried_twice,
    with_action,
    with_more,
    with_notes,
    without_notes,
)
from tests.faults.story import StoredExecution, Story

pytestmark = pytest.mark.unit

EXPIRED = {"event": FATAL, "pack": {"id": "Beta", "name": "Beta"}, "payload": {"reason": "lease expired"}}
RUN_OF_LEFT = {"key": KEY, "step": "left", "run": "x9"}
RESULT_OF_LEFT = {"action": "e1-left", "attempt": 1, "event": "LeftDone"}


def cancelled_story() -> Story:
    """Build the story of an execution that was cancelled while one of three actions was queued."""
    cancelled_middle = story(cancelled("middle"), without="join after", state="cancelled")
    return with_notes(
        cancelled_middle, note("cancel_sent", execution="e1"), note("cancel_answered", execution="e1", status=204)
    )


def rescued_story() -> Story:
    """Build the story of an execution in which a branch ended FATAL and a step fired on that."""
    return story(fatal("right"), action("rescue"), echo=False)


def outage(what: str) -> list[Note]:
    return [note("outage_began", at=100.0, what=what), note("outage_ended", at=110.0, what=what)]


SOUND = {
    "all went well": story(),
    "an attempt was FATAL and tried again": story(tried_twice("left")),
    "a FATAL result had a step that fired on it": rescued_story(),
    "a FATAL result had none": story(fatal("left"), without="join after", state="failed"),
    "a lease ended": story(replace(fatal("right"), result=EXPIRED), action("rescue"), echo=False),
    "it was cancelled": cancelled_story(),
    "a pack was killed before its answer came": without_notes(story(), lambda line: line["kind"] == "result_answered"),
    "an event was sent twice": with_notes(story(), note("event_sent", key=KEY)),
    "an event was never answered": with_notes(story(), note("event_sent", key="s-2")),
    "a late result was refused": with_notes(
        story(), note("result_answered", status=409, payload={"run": "x9"}, **RESULT_OF_LEFT)
    ),
    "the database was away": with_notes(
        story(),
        *outage("PostgreSQL"),
        note("answer", at=101.0, to="take", status=503),
        note("answer", at=114.0, to="events", status=503),
    ),
}


@pytest.mark.parametrize("sound_story", SOUND.values(), ids=SOUND.keys())
def test_a_sound_story_passes(sound_story: Story) -> None:
    assert failed_checks(sound_story) == {}


BROKEN: dict[str, tuple[str, Story]] = {
    "an accepted event was lost": (
        "accepted_events_ran_once",
        with_notes(story(), note("event_answered", key="s-2", status=202), note("event_sent", key="s-2")),
    ),
    "an event ran twice": (
        "accepted_events_ran_once",
        with_more(story(), [StoredExecution("e3", "fan-out", "succeeded")], [action("start", "e3")]),
    ),
    "an event that was not answered ran twice": (
        "accepted_events_ran_once",
        without_notes(
            with_more(story(), [StoredExecution("e3", "fan-out", "succeeded")], [action("start", "e3")]),
            lambda line: line["kind"] == "event_answered",
        ),
    ),
    "an event ran that nobody sent": (
        "accepted_events_ran_once",
        without_notes(story(), lambda line: line["kind"] == "event_sent"),
    ),
    "an execution has no actions": (
        "accepted_events_ran_once",
        with_more(story(), [StoredExecution("e3", "fan-out", "x")]),
    ),
    "a result started nothing": ("results_started_their_flow_once", story(echo=False)),
    "a result started its flow twice": (
        "results_started_their_flow_once",
        with_more(story(), [StoredExecution("e3", "echo", "succeeded")], [action("echo", "e3")]),
    ),
    "a step fired twice": ("steps_fired_at_most_once", with_more(story(), actions=[replace(action("left"), id="l2")])),
    "a join was lost": ("every_step_fired_that_had_to", story(without="join after")),
    "a join came too early": ("every_step_fired_that_had_to", story(cancelled("middle"), state="cancelled")),
    "a step fired on nothing": ("every_step_fired_that_had_to", story(action("rescue"))),
    "a step could not be judged": (
        "every_step_fired_that_had_to",
        replace(story(), executions=[StoredExecution("e1", "fan-out", "failed", errors=True)]),
    ),
    "an action is of no execution": ("actions_belong_together", with_action(story(), "left", execution="e9")),
    "an action has another's event": ("actions_belong_together", with_action(story(), "left", key="s-9")),
    "a step fired on a step it does not depend on": (
        "actions_belong_together",
        with_action(story(), "after", triggered_by="e1-left"),
    ),
    "an action ended twice": (
        "actions_have_lawful_ends",
        with_action(story(), "left", states=entries("NEW PENDING SUCCESS FATAL"), state="FATAL"),
    ),
    "an action was given twice": (
        "actions_have_lawful_ends",
        with_action(story(), "left", states=entries("NEW PENDING PENDING SUCCESS"), attempt=2),
    ),
    "an action was tried too often": (
        "actions_have_lawful_ends",
        story(replace(tried_twice("right"), retries=0)),
    ),
    "an action was tried and does not tell": (
        "actions_have_lawful_ends",
        story(replace(tried_twice("left"), history=[])),
    ),
    "an action has another state than its last": (
        "actions_have_lawful_ends",
        with_action(story(), "left", state="FATAL"),
    ),
    "an action went back in time": (
        "actions_have_lawful_ends",
        with_action(story(), "left", states=entries("NEW PENDING SUCCESS")[:2] + entries("SUCCESS")),
    ),
    "an action ended without a result": ("actions_have_lawful_ends", with_action(story(), "left", result=None)),
    "an execution failed and is not": (
        "executions_have_the_state_of_their_actions",
        story(fatal("left"), without="join after"),
    ),
    "an execution runs on": ("executions_have_the_state_of_their_actions", story(state="running")),
    "an execution was cancelled and nobody asked": (
        "executions_have_the_state_of_their_actions",
        without_notes(cancelled_story(), lambda line: line["kind"].startswith("cancel_")),
    ),
    "a cancel was answered and lost": (
        "executions_have_the_state_of_their_actions",
        with_notes(story(), note("cancel_sent", execution="e1"), note("cancel_answered", execution="e1", status=204)),
    ),
    "an attempt had two holders": (
        "actions_had_one_holder",
        with_notes(story(), note("taken", action="e1-left", attempt=1, key=KEY, step="left")),
    ),
    "an attempt was given and forgotten": (
        "actions_had_one_holder",
        with_notes(story(), note("taken", action="e1-left", attempt=2, key=KEY, step="left")),
    ),
    "an action was given that there is not": (
        "actions_had_one_holder",
        with_notes(story(), note("taken", action="e9-left", attempt=1, key=KEY, step="left")),
    ),
    "a handler ran too often": (
        "handlers_ran_no_more_than_attempts",
        with_notes(story(), note("began", **RUN_OF_LEFT)),
    ),
    "an accepted result was lost": (
        "accepted_results_are_kept",
        with_notes(story(), note("result_answered", status=202, payload={"run": "x9"}, **RESULT_OF_LEFT)),
    ),
    "an accepted result is that of another attempt": (
        "accepted_results_are_kept",
        with_action(story(), "left", attempt=2, result=result("left")),
    ),
    "an exact repeat was refused": (
        "accepted_results_are_kept",
        with_notes(story(), note("result_answered", status=409, payload=result("left")["payload"], **RESULT_OF_LEFT)),
    ),
    "a late result was called accepted": (
        "accepted_results_are_kept",
        with_notes(
            story(replace(action("left"), history=[{"attempt": 1, "late": True, "result": result("left", run="x9")}])),
            note("result_answered", status=202, payload=result("left", run="x9")["payload"], **RESULT_OF_LEFT),
        ),
    ),
    "a result came from nobody": (
        "results_come_from_packs",
        without_notes(story(), lambda line: line["kind"] == "result_sent" and line["action"] == "e1-left"),
    ),
    "an action waits": ("nothing_waits", with_action(story(), "left", waiting=True)),
    "an action has a lease": ("nothing_waits", with_action(story(), "left", leased=True)),
    "an action is with somebody": ("nothing_waits", with_action(story(), "left", state="PENDING")),
    "an answer is a defect": ("answers_are_lawful", with_notes(story(), note("answer", to="take", status=500))),
    "an action was forgotten": ("answers_are_lawful", with_notes(story(), note("answer", to="result", status=404))),
    "the database was not away": (
        "answers_are_lawful",
        with_notes(story(), *outage("PostgreSQL"), note("answer", at=120.0, to="take", status=503)),
    ),
    "only Redis was away": (
        "answers_are_lawful",
        with_notes(story(), *outage("Redis"), note("answer", at=101.0, to="take", status=503)),
    ),
    "slow clients kept others out": (
        "slow_clients_keep_nobody_out",
        with_notes(story(), note("kept_out", server="server-1")),
    ),
    "the audit lacks an execution": ("audit_shows_what_is_kept", replace(story(), audit={})),
    "the audit shows another result": (
        "audit_shows_what_is_kept",
        replace(story(), audit=story(fatal("left")).audit),
    ),
}


@pytest.mark.parametrize(("check", "defective_story"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_promise_is_found(check: str, defective_story: Story) -> None:
    assert check in failed_checks(defective_story)


def test_every_check_can_fail() -> None:
    assert {check for check, _ in BROKEN.values()} == {check.__name__ for check in CHECKS}


def test_a_defect_is_reported_with_its_ids() -> None:
    lost_event = with_notes(story(), note("event_sent", key="s-2"), note("event_answered", key="s-2", status=202))
    assert failed_checks(lost_event) == {
        "accepted_events_ran_once": ["event s-2 was answered with 202 and has no execution"]
    }


def test_times_of_states_are_not_compared_if_clocks_were_set() -> None:
    back_in_time = with_action(story(), "left", states=entries("NEW PENDING SUCCESS")[:2] + entries("SUCCESS"))
    assert failed_checks(with_notes(back_in_time, note("clock_set", machine="database", seconds=-5.0))) == {}


def test_an_outage_lasts_from_its_start_to_its_end() -> None:
    notes = [*outage("PostgreSQL"), *outage("Redis"), note("outage_began", at=200.0, what="PostgreSQL")]
    notes.insert(1, note("outage_began", at=105.0, what="disk"))
    notes.append(note("outage_ended", at=115.0, what="disk"))
    assert database_outages(notes) == [(100.0, 110.0), (105.0, 115.0)]
