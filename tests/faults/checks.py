"""The checks of a finished soak: pure functions that take a story and yield a line for each defect."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.faults.flows import BETA, ECHO, FAN_OUT, FATAL, FLOWS, STEPS
from tests.faults.journal import Note
from tests.faults.lawful import unlawful
from tests.faults.story import FINAL, StoredAction, StoredExecution, Story

Wrong = Iterator[str]

LEASE_EXPIRED = "lease expired"


def accepted_events_ran_once(story: Story) -> Wrong:
    """Check that an event answered with 202 has one execution, and any other sent event at most one."""
    sent = {note["key"] for note in story.notes_of_kind("event_sent")}
    accepted = {note["key"] for note in story.notes_of_kind("event_answered") if note["status"] == 202}
    ran = executions_by_key(story, FAN_OUT["name"])
    yield from (f"event {key} was answered with 202 and has no execution" for key in sorted(accepted - set(ran)))
    yield from (f"event {key} has {len(ids)} executions: {ids}" for key, ids in ran.items() if len(ids) > 1)
    yield from (f"nobody sent event {key!r} of {ran[key]}" for key in sorted(set(ran) - sent))


def results_started_their_flow_once(story: Story) -> Wrong:
    """Check that the flow that is triggered by a step's result ran once for each such result."""
    done = Counter(action.key for action in story.actions if action.ended_in(BETA, "RightDone"))
    ran = executions_by_key(story, ECHO["name"])
    for key in sorted(set(done) | set(ran)):
        if len(ran[key]) != done[key]:
            yield f"event {key}: {done[key]} results RightDone, {len(ran[key])} executions of the flow that listens"


def executions_by_key(story: Story, flow: str) -> Mapping[str, list[str]]:
    executions: dict[str, list[str]] = defaultdict(list)
    for execution in story.executions:
        if execution.flow == flow:
            executions[story.key_of(execution)].append(execution.id)
    return executions


def steps_fired_at_most_once(story: Story) -> Wrong:
    """Check that no two actions of an execution have the same step."""
    counts = Counter((action.execution, action.step) for action in story.actions)
    yield from (f"step {step} of {execution} fired {n} times" for (execution, step), n in counts.items() if n > 1)


def every_step_fired_that_had_to(story: Story) -> Wrong:
    """Check that a step has an action if, and only if, its trigger has happened; joins are neither lost nor early."""
    for execution in story.executions:
        actions = story.actions_of[execution.id]
        fired, due = {action.step for action in actions}, steps_due(execution.flow, actions)
        if execution.errors:
            yield f"{execution.id}: a step could not be judged"
        if fired != due:
            yield f"{execution.id}: fired too much {sorted(fired - due)}, too little {sorted(due - fired)}"


def steps_due(flow: str, actions: Sequence[StoredAction]) -> set[str]:
    """Return the ids of the steps that must have fired, as the actions of the execution imply."""
    document = next(document for document in FLOWS if document["name"] == flow)
    return {step["id"] for step in document["steps"] if _is_due(step, actions)}


def _is_due(step: Mapping[str, Any], actions: Sequence[StoredAction]) -> bool:
    named = step.get("dependsOn", [])
    finished = [action for action in actions if action.step in named and action.finished]
    all_finished = {action.step for action in finished} == set(named)
    return not named or (all_finished and any(_fits(step, action) for action in finished))


def _fits(step: Mapping[str, Any], action: StoredAction) -> bool:
    return action.ended_in(step["event"]["packName"], step["event"]["name"])


def actions_belong_together(story: Story) -> Wrong:
    """Check that an action belongs to an existing execution and its event, and was triggered by a dependency."""
    keys = {execution.id: story.key_of(execution) for execution in story.executions}
    for action in story.actions:
        if action.execution not in keys:
            yield f"action {action.id} is of no execution that there is ({action.execution})"
        elif action.key != keys[action.execution]:
            yield f"action {action.id} is for event {action.key}, its execution for {keys[action.execution]}"
        if action.triggered_by and not _was_fired_by(action, story.action.get(action.triggered_by)):
            yield f"action {action.id} says it was triggered by {action.triggered_by}, which can't be"


def _was_fired_by(action: StoredAction, cause: StoredAction | None) -> bool:
    step = STEPS[action.step]
    named = step.get("dependsOn", [])
    return cause is not None and cause.execution == action.execution and cause.step in named and _fits(step, cause)


def actions_have_lawful_ends(story: Story) -> Wrong:
    """Check that each action ended once and went through allowed states, and that each attempt has an end."""
    are_clocks_set = any(story.notes_of_kind("clock_set"))
    for action in story.actions:
        defects = unlawful(action, are_clocks_set=are_clocks_set)
        yield from (f"action {action.id} ({action.step}): {defect}" for defect in defects)


def executions_have_the_state_of_their_actions(story: Story) -> Wrong:
    """Check that executions with an unhandled FATAL result failed, cancelled ones are cancelled, others succeeded."""
    sent = {note["execution"] for note in story.notes_of_kind("cancel_sent")}
    done = {note["execution"] for note in story.notes_of_kind("cancel_answered") if note["status"] == 204}
    for execution in story.executions:
        implied = state_implied(execution, story.actions_of[execution.id])
        if execution.state != implied:
            yield f"{execution.id} is {execution.state}, its actions say {implied}"
        if execution.state == "cancelled" and execution.id not in sent:
            yield f"{execution.id} is cancelled, and nobody asked for it"
        if execution.state != "cancelled" and execution.id in done:
            yield f"{execution.id} is {execution.state}, and was answered to be cancelled"


def state_implied(execution: StoredExecution, actions: Sequence[StoredAction]) -> str:
    states = {action.state for action in actions}
    if not actions or not states <= set(FINAL):
        return "running"
    if "CANCELLED" in states:
        return "cancelled"
    causes = {action.triggered_by for action in actions}
    unanswered = any(action.state == "FATAL" and action.id not in causes for action in actions)
    return "failed" if execution.errors or unanswered else "succeeded"


def actions_had_one_holder(story: Story) -> Wrong:
    """Check that each attempt was claimed by one pack, and that the server knows each claimed attempt."""
    takes = Counter((note["action"], note["attempt"]) for note in story.notes_of_kind("taken"))
    for (key, attempt), count in takes.items():
        action = story.action.get(key)
        if count > 1:
            yield f"attempt {attempt} of action {key} was given {count} times"
        if action is None or attempt > action.attempt:
            yield f"attempt {attempt} of action {key} was given, and the server knows nothing of it"


def handlers_ran_no_more_than_attempts(story: Story) -> Wrong:
    """Check that no handler ran more often than its action had attempts, whatever was killed."""
    runs = Counter((note["key"], note["step"]) for note in story.notes_of_kind("began"))
    attempts: Counter[tuple[str, str]] = Counter()
    for action in story.actions:
        attempts[(action.key, action.step)] += action.attempt
    for (key, step), count in runs.items():
        if count > attempts[(key, step)]:
            yield f"step {step} of event {key} ran {count} times in {attempts[(key, step)]} attempts"


def accepted_results_are_kept(story: Story) -> Wrong:
    """Check that a result answered with 202 is the result of its attempt, and that one answered with 409 is not."""
    for note in story.notes_of_kind("result_answered"):
        is_stored = is_result_of_attempt(story.action.get(note["action"]), note)
        if note["status"] == 202 and not is_stored:
            yield f"result {_what(note)} was answered with 202 and is not what is shown"
        if note["status"] == 409 and is_stored:
            yield f"result {_what(note)} was answered with 409 though it is what is shown"


def is_result_of_attempt(action: StoredAction | None, note: Note) -> bool:
    """Return True if an attempt ended in this result."""
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
    """Check that each result was sent by a pack, or is the server's result for an expired lease."""
    sent = {(note["action"], note["attempt"], str(note["payload"])) for note in story.notes_of_kind("result_sent")}
    for action in story.actions:
        if action.result is None or not action.finished:
            continue
        payload = action.result.get("payload") or {}
        expired = action.result["event"] == FATAL and payload.get("reason") == LEASE_EXPIRED
        if not expired and (action.id, action.attempt, str(payload)) not in sent:
            yield f"action {action.id} ended in {action.result['event']}, which no pack sent"


def nothing_waits(story: Story) -> Wrong:
    """Check that no action is queued or claimed."""
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
    """Check that the API gave only documented status codes, and 503 only in an outage of the database."""
    outages = database_outages(story.notes)
    odd = Counter(
        (note["to"], note["status"], note["status"] == 503)
        for note in story.notes_of_kind("answer")
        if note["status"] not in LAWFUL_ANSWERS[note["to"]] and not _excused(note, outages)
    )
    for (to, status, away), count in odd.items():
        yield f"{to} was answered with {status} {count} times{', the database being there' if away else ''}"


# A request that was sent while the database was down may be answered this long after the restart, in seconds.
EXCUSED_SECONDS = 5.0


def _excused(note: Note, outages: Sequence[tuple[float, float]]) -> bool:
    return note["status"] == 503 and any(begin <= note["at"] <= end + EXCUSED_SECONDS for begin, end in outages)


def database_outages(notes: Iterable[Note]) -> list[tuple[float, float]]:
    """Return the begin and end of each time that the database was down or full, or a server was frozen."""
    moments = defaultdict(list)
    for note in notes:
        if note["kind"].startswith("outage_") and note["what"].endswith(("PostgreSQL", "disk", " frozen")):
            moments[note["what"]].append(note)
    pairs = (pair for of_one in moments.values() for pair in pairwise(of_one) if pair[0]["kind"] == "outage_began")
    return sorted((float(begin["at"]), float(end["at"])) for begin, end in pairs)


def slow_clients_keep_nobody_out(story: Story) -> Wrong:
    """Check that a server answered others while it had slow clients."""
    yield from (f"{note['server']} answered nobody at {note['at']}" for note in story.notes_of_kind("kept_out"))


def audit_shows_what_is_kept(story: Story) -> Wrong:
    """Check that the API's audit has every execution, with the actions and results that are in the database."""
    for execution in story.executions:
        document = story.audit.get(execution.id)
        if document is None:
            yield f"the audit does not show {execution.id}"
            continue
        actions = story.actions_of[execution.id]
        stored = {action.step: (action.id, *_stored_state(action), action.result) for action in actions}
        audited = {step: _audited_state(action) for step, action in document["actions"].items()}
        if stored != audited:
            yield f"the audit shows {execution.id} otherwise than it is kept"


def _stored_state(action: StoredAction) -> tuple[str, bool]:
    cancelled = action.state == "CANCELLED"
    return (FATAL if cancelled else action.state), cancelled


def _audited_state(action: Mapping[str, Any]) -> tuple[Any, ...]:
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
    slow_clients_keep_nobody_out,
)


def failed_checks(story: Story) -> dict[str, list[str]]:
    """Return the lines of each check that found a defect, by its name."""
    return {check.__name__: lines for check in CHECKS if (lines := list(check(story)))}
