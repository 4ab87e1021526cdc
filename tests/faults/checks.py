"""What must be true when the soak is over: pure functions from a story to what is wrong in it, a line each."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.faults.flows import BETA, ECHO, FAN_OUT, FATAL, FLOWS, STEPS
from tests.faults.journal import Note
from tests.faults.lawful import unlawful
from tests.faults.story import FINAL, Action, Execution, Story

Wrong = Iterator[str]

LEASE_EXPIRED = "lease expired"


def accepted_events_ran_once(story: Story) -> Wrong:
    """An event answered with 202 has one execution, one that was not has at most one, and nothing else has any."""
    sent = {note["key"] for note in story.told("event_sent")}
    accepted = {note["key"] for note in story.told("event_answered") if note["status"] == 202}
    ran = executions_by_key(story, FAN_OUT["name"])
    yield from (f"event {key} was answered with 202 and has no execution" for key in sorted(accepted - set(ran)))
    yield from (f"event {key} has {len(ids)} executions: {ids}" for key, ids in ran.items() if len(ids) > 1)
    yield from (f"nobody sent event {key!r} of {ran[key]}" for key in sorted(set(ran) - sent))


def results_started_their_flow_once(story: Story) -> Wrong:
    """The flow that listens to a step's result ran once for each such result."""
    done = Counter(action.key for action in story.actions if action.ended_in(BETA, "RightDone"))
    ran = executions_by_key(story, ECHO["name"])
    for key in sorted(set(done) | set(ran)):
        if len(ran[key]) != done[key]:
            yield f"event {key}: {done[key]} results RightDone, {len(ran[key])} executions of the flow that listens"


def executions_by_key(story: Story, flow: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for execution in story.executions:
        if execution.flow == flow:
            found[story.key_of(execution)].append(execution.id)
    return found


def steps_fired_at_most_once(story: Story) -> Wrong:
    """No two actions of one execution are of one step."""
    counts = Counter((action.execution, action.step) for action in story.actions)
    yield from (f"step {step} of {execution} fired {n} times" for (execution, step), n in counts.items() if n > 1)


def every_step_fired_that_had_to(story: Story) -> Wrong:
    """A step has an action if, and only if, what it waits for has happened; joins are neither lost nor early."""
    for execution in story.executions:
        actions = story.actions_of[execution.id]
        fired, due = {action.step for action in actions}, steps_due(execution.flow, actions)
        if execution.errors:
            yield f"{execution.id}: a step could not be judged"
        if fired != due:
            yield f"{execution.id}: fired too much {sorted(fired - due)}, too little {sorted(due - fired)}"


def steps_due(flow: str, actions: Sequence[Action]) -> set[str]:
    """The steps of a flow that must have fired, its actions being what they are."""
    document = next(one for one in FLOWS if one["name"] == flow)
    return {step["id"] for step in document["steps"] if _is_due(step, actions)}


def _is_due(step: Mapping[str, Any], actions: Sequence[Action]) -> bool:
    named = step.get("dependsOn", [])
    finished = [action for action in actions if action.step in named and action.finished]
    return not named or ({one.step for one in finished} == set(named) and any(_fits(step, one) for one in finished))


def _fits(step: Mapping[str, Any], action: Action) -> bool:
    return action.ended_in(step["event"]["packName"], step["event"]["name"])


def actions_belong_together(story: Story) -> Wrong:
    """An action is of an execution that there is and of its event, and a step it follows from really fired it."""
    known = {execution.id: story.key_of(execution) for execution in story.executions}
    for action in story.actions:
        if action.execution not in known:
            yield f"action {action.id} is of no execution that there is ({action.execution})"
        elif action.key != known[action.execution]:
            yield f"action {action.id} is for event {action.key}, its execution for {known[action.execution]}"
        if action.triggered_by and not _was_fired_by(action, story.action.get(action.triggered_by)):
            yield f"action {action.id} says it was triggered by {action.triggered_by}, which can't be"


def _was_fired_by(action: Action, cause: Action | None) -> bool:
    step = STEPS[action.step]
    named = step.get("dependsOn", [])
    return cause is not None and cause.execution == action.execution and cause.step in named and _fits(step, cause)


def actions_have_lawful_ends(story: Story) -> Wrong:
    """Each action ended once, went through lawful states, and no attempt is unaccounted for."""
    for action in story.actions:
        yield from (f"action {action.id} ({action.step}): {wrong}" for wrong in unlawful(action))


def executions_have_the_state_of_their_actions(story: Story) -> Wrong:
    """Failed where a FATAL result had no step that fired on it, cancelled where somebody cancelled, else succeeded."""
    sent = {note["execution"] for note in story.told("cancel_sent")}
    done = {note["execution"] for note in story.told("cancel_answered") if note["status"] == 204}
    for execution in story.executions:
        implied = state_implied(execution, story.actions_of[execution.id])
        if execution.state != implied:
            yield f"{execution.id} is {execution.state}, its actions say {implied}"
        if execution.state == "cancelled" and execution.id not in sent:
            yield f"{execution.id} is cancelled, and nobody asked for it"
        if execution.state != "cancelled" and execution.id in done:
            yield f"{execution.id} is {execution.state}, and was answered to be cancelled"


def state_implied(execution: Execution, actions: Sequence[Action]) -> str:
    states = {action.state for action in actions}
    if not actions or not states <= set(FINAL):
        return "running"
    if "CANCELLED" in states:
        return "cancelled"
    causes = {action.triggered_by for action in actions}
    unanswered = any(action.state == "FATAL" and action.id not in causes for action in actions)
    return "failed" if execution.errors or unanswered else "succeeded"


def actions_had_one_holder(story: Story) -> Wrong:
    """Each attempt was given to one pack, and only attempts that the step allows were given."""
    takes = Counter((note["action"], note["attempt"]) for note in story.told("taken"))
    for (key, attempt), count in takes.items():
        action = story.action.get(key)
        if count > 1:
            yield f"attempt {attempt} of action {key} was given {count} times"
        if action is None or attempt > action.attempt:
            yield f"attempt {attempt} of action {key} was given, and the server knows nothing of it"


def handlers_ran_no_more_than_attempts(story: Story) -> Wrong:
    """At most `1 + retries` times, whatever was killed."""
    runs = Counter((note["key"], note["step"]) for note in story.told("began"))
    attempts: Counter[tuple[str, str]] = Counter()
    for action in story.actions:
        attempts[(action.key, action.step)] += action.attempt
    for (key, step), count in runs.items():
        if count > attempts[(key, step)]:
            yield f"step {step} of event {key} ran {count} times in {attempts[(key, step)]} attempts"


def accepted_results_are_kept(story: Story) -> Wrong:
    """A result answered with 202 is what its attempt shows, and one answered with 409 is not."""
    for note in story.told("result_answered"):
        shown = is_shown(story.action.get(note["action"]), note)
        if note["status"] == 202 and not shown:
            yield f"result {_what(note)} was answered with 202 and is not what is shown"
        if note["status"] == 409 and shown:
            yield f"result {_what(note)} was answered with 409 though it is what is shown"


def is_shown(action: Action | None, note: Note) -> bool:
    """Whether an attempt ended in this result."""
    if action is None:
        return False
    if action.finished and action.attempt == note["attempt"] and same(action.result, note):
        return True
    ended = (entry for entry in action.history if entry["attempt"] == note["attempt"] and not entry.get("late"))
    return any(same(entry["result"], note) for entry in ended)


def same(result: Mapping[str, Any] | None, note: Mapping[str, Any]) -> bool:
    return result is not None and (result["event"], result.get("payload")) == (note["event"], note["payload"])


def _what(note: Note) -> str:
    return f"{note['event']} of attempt {note['attempt']} of action {note['action']}"


def results_come_from_packs(story: Story) -> Wrong:
    """What an action ended in was sent by a pack, or is the server's word that the lease has ended."""
    sent = {(note["action"], note["attempt"], str(note["payload"])) for note in story.told("result_sent")}
    for action in story.actions:
        if action.result is None or not action.finished:
            continue
        payload = action.result.get("payload") or {}
        expired = action.result["event"] == FATAL and payload.get("reason") == LEASE_EXPIRED
        if not expired and (action.id, action.attempt, str(payload)) not in sent:
            yield f"action {action.id} ended in {action.result['event']}, which no pack sent"


def nothing_waits(story: Story) -> Wrong:
    """No action waits to be taken, or is with somebody."""
    for action in story.actions:
        if action.waiting or action.leased or action.state not in FINAL:
            yield f"action {action.id} ({action.step}) is left {action.state}"


LAWFUL_ANSWERS: Mapping[str, frozenset[int]] = {
    "events": frozenset({202}),
    "packs": frozenset({201}),
    "take": frozenset({200, 204}),
    "result": frozenset({202, 409}),
    "heartbeat": frozenset({204, 409}),
    "cancel": frozenset({204, 409}),
    "audit": frozenset({200}),
    "other": frozenset({200}),
}


def answers_are_lawful(story: Story) -> Wrong:
    """Nothing but what the API promises, and 503 only while the database is away."""
    outages = database_outages(story.notes)
    odd = Counter(
        (note["to"], note["status"], note["status"] == 503)
        for note in story.told("answer")
        if note["status"] not in LAWFUL_ANSWERS[note["to"]] and not _excused(note, outages)
    )
    for (to, status, away), count in odd.items():
        yield f"{to} was answered with {status} {count} times{', the database being there' if away else ''}"


# What was asked for while the database was away may be answered so long after it is back, in seconds.
EXCUSED_SECONDS = 5.0


def _excused(note: Note, outages: Sequence[tuple[float, float]]) -> bool:
    return note["status"] == 503 and any(begin <= note["at"] <= end + EXCUSED_SECONDS for begin, end in outages)


def database_outages(notes: Iterable[Note]) -> list[tuple[float, float]]:
    """From when to when the database was away."""
    moments = [note for note in notes if note["kind"].startswith("outage_") and note["what"] == "PostgreSQL"]
    return [(float(one["at"]), float(other["at"])) for one, other in pairwise(moments) if one["kind"] == "outage_began"]


def audit_shows_what_is_kept(story: Story) -> Wrong:
    """The API's audit has every execution, with the actions and results that are in the database."""
    for execution in story.executions:
        shown = story.audit.get(execution.id)
        if shown is None:
            yield f"the audit does not show {execution.id}"
            continue
        kept = {one.step: (one.id, *_shown_state(one), one.result) for one in story.actions_of[execution.id]}
        told = {step: _told(action) for step, action in shown["actions"].items()}
        if kept != told:
            yield f"the audit shows {execution.id} otherwise than it is kept"


def _shown_state(action: Action) -> tuple[str, bool]:
    cancelled = action.state == "CANCELLED"
    return (FATAL if cancelled else action.state), cancelled


def _told(action: Mapping[str, Any]) -> tuple[Any, ...]:
    state = action["state"]
    return action["id"], state["value"], state.get("cancelled", False), action.get("result")


CHECKS: tuple[Callable[[Story], Wrong], ...] = (
    accepted_events_ran_once,
    results_started_their_flow_once,
    steps_fired_at_most_once,
    every_step_fired_that_had_to,
    actions_belong_together,
    actions_have_lawful_ends,
    executions_have_the_state_of_their_actions,
    actions_had_one_holder,
    handlers_ran_no_more_than_attempts,
    accepted_results_are_kept,
    results_come_from_packs,
    nothing_waits,
    answers_are_lawful,
    audit_shows_what_is_kept,
)


def failed_checks(story: Story) -> dict[str, list[str]]:
    """What is wrong, by the name of the check that found it."""
    return {check.__name__: found for check in CHECKS if (found := list(check(story)))}
