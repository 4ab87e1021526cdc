"""What a flow would do with an event, and with results that are only pretended: nothing is queued or written.

Steps are judged by the engine's own code (`judging`, `steps`), and the datastore is read for real.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flows.document import TRUE_VALUES, FlowDefinition, FlowIssue, StepDefinition
from flows.judging import judge_followers, judge_triggers
from flows.secrecy import read_datastore, without_echo
from flows.steps import Context, Event, Kind, Outcome, PackSeen, Trace, evaluate, without_secrets
from flyte_site.masking import masked
from packs import queue
from packs.models import Action, Pack, State, pack_id
from packs.queue import Owner

NOT_REACHED = "notReached"
# Each step has a time limit of its own; this one is for all that a dry run asks of a server with other things to do.
MOST_SECONDS = 10.0
OWNER = Owner(correlation_id="", flow_name="", flow_uuid="")


class TooLongError(Exception):
    """Judging the flow's steps takes longer than a dry run may."""


@dataclass(frozen=True)
class Pretended:
    """The event that an action is to end with. `pack` None is a pack with the labels that the command asks for."""

    name: str
    payload: Any = None
    pack: PackSeen | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Judged:
    """One look at a step: at which event, with which inherited context, and what came of it.

    `cause` is the id of the step whose result the event is; '' for a trigger.
    """

    step: StepDefinition
    event: Event
    cause: str
    inherited: Context
    outcome: Outcome
    trace: Trace

    @property
    def errors(self) -> list[FlowIssue]:
        """What could not be rendered, each with its place in the document."""
        found = [FlowIssue(error.path, error.message, error.line, error.column) for error in self.trace.errors]
        if not found and self.outcome.kind is Kind.ERROR:
            found = [FlowIssue(self.outcome.path, self.outcome.message, self.outcome.line, self.outcome.column)]
        return found


@dataclass
class DryRun:
    """What came of a flow's steps: every look at one, in the order in which they happened, and the actions by step id.

    The actions are not saved; those of steps with a pretended result have it. `notes` are about what was given.
    """

    document: FlowDefinition
    event: Event
    judged: list[Judged] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    notes: list[FlowIssue] = field(default_factory=list)

    @property
    def starts(self) -> bool:
        """Whether an execution would begin."""
        return bool(self.actions)

    @property
    def failed(self) -> bool:
        """Whether a step could not be judged."""
        return any(one.outcome.kind is Kind.ERROR for one in self.judged)

    def shown(self) -> dict[str, Any]:
        """The dry run as `POST /v1/flows/dry-run` gives it, with what looks like a secret masked."""
        return {
            "flow": self.document.name,
            "event": masked(self.event.audit()),
            "starts": self.starts,
            "steps": [self._shown_step(step) for step in self.document.steps],
            "notes": [{"path": note.path, "message": note.message} for note in self.notes],
        }

    def _shown_step(self, step: StepDefinition) -> dict[str, Any]:
        looks = [one for one in self.judged if one.step.id == step.id]
        shown: dict[str, Any] = {"stepId": step.id}
        shown |= _shown(looks[-1]) if looks else {"outcome": NOT_REACHED, "message": self._why_not_reached(step)}
        if len(looks) > 1:
            shown["earlier"] = [_shown(one) for one in looks[:-1]]
        shown["event"] = {"packName": step.event.pack_name, "name": step.event.name}
        if step.depends_on:
            shown |= {"dependsOn": list(step.depends_on), "dependsOnMode": step.depends_on_mode}
        action = self.actions.get(step.id)
        if action and action.result:
            shown["result"] = masked(action.result)
        return shown

    def _why_not_reached(self, step: StepDefinition) -> str:
        if step.is_trigger:
            return f"it waits for {_listened(step)}, and the event is {self.event.pack.name}.{self.event.name}"
        missing = [self._missing(step_id) for step_id in step.depends_on if not self._finished(step_id)]
        if missing and (step.depends_on_mode == "all" or len(missing) == len(step.depends_on)):
            return f"it waits for {(' and ' if step.depends_on_mode == 'all' else ' or ').join(missing)}"
        ended = ", ".join(_told(action.result) for action in self.actions.values() if action.finished)
        return f"it waits for {_listened(step)}, and the results are {ended}"

    def _finished(self, step_id: str) -> bool:
        return step_id in self.actions and self.actions[step_id].finished

    def _missing(self, step_id: str) -> str:
        return f"{step_id} ({'no result yet' if step_id in self.actions else 'has not fired'})"


def _listened(step: StepDefinition) -> str:
    return f"{step.event.pack_name}.{step.event.name}"


def _told(result: Mapping[str, Any]) -> str:
    return f"{result['pack']['name']}.{result['event']}"


def _shown(one: Judged) -> dict[str, Any]:
    """One look at a step: what was reached, and what came of it."""
    trace, outcome, step = one.trace, one.outcome, one.step
    shown: dict[str, Any] = {"outcome": str(outcome.kind)}
    if outcome.message:
        shown["message"] = outcome.message
    if one.cause:
        shown |= {"cause": one.cause, "inherited": masked(without_secrets(one.inherited))}
    if trace.context is not None:
        shown["context"] = masked(trace.context)
    if trace.wanted is not None:
        had = dict(one.event.pack.labels)
        shown["labels"] = {"wanted": trace.wanted, "had": had, "hold": trace.wanted.items() <= had.items()}
    if step.criteria is not None and (trace.verdict is not None or trace.saw):
        shown["criteria"] = {"template": step.criteria.source, "saw": trace.saw}
        if trace.verdict is not None:
            shown["criteria"] |= {"verdict": trace.verdict, "holds": trace.verdict in TRUE_VALUES}
    if trace.pack_labels is not None:
        command = {"packName": step.command.pack_name, "packLabels": trace.pack_labels, "name": step.command.name}
        shown["command"] = command | {"input": masked(trace.input)}
    if errors := one.errors:
        shown["errors"] = [
            {"path": error.path, "message": error.message, "line": error.line, "column": error.column}
            for error in errors
        ]
    return shown


def dry_run(document: FlowDefinition, event: Event, results: Mapping[str, Pretended] | None = None) -> DryRun:
    """Judge the flow's steps on the event as the engine would, then those that follow on the pretended results.

    `results` are by step id. They come in their order, but each not before its step has fired. Raises `TooLongError`.
    """
    run = _Run(DryRun(document, event))
    run.begin()
    waiting = dict(results or {})
    while step_id := next((one for one in waiting if one in run.done.actions), None):
        run.finish(run.done.actions[step_id], waiting.pop(step_id))
    for step_id in waiting:
        run.note(step_id, f"the result is not used: step {step_id!r} has not fired")
    return run.done


@dataclass
class _Run:
    done: DryRun
    ended: int = 0
    began: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        self._queue(judge_triggers(self.done.document, self.done.event, self._judge), self.done.event.received_at)

    def finish(self, action: Action, pretended: Pretended) -> None:
        """End an action as a pack would, and judge what follows."""
        pack = pretended.pack or PackSeen(
            pack_id(action.pack_name, action.pack_labels), action.pack_name, action.pack_labels
        )
        if not Pack(name=pack.name, labels=dict(pack.labels)).can_take(action):
            self.note(action.step_id, "is refused: the action is meant for packs of another name or with other labels")
            return
        self.ended += 1
        now = self.done.event.received_at + timedelta(milliseconds=self.ended)
        told = Event(pack, pretended.name, pretended.payload, pretended.created_at or now, now)
        event = without_echo(action, told)
        action.result, action.finished_at, action.waiting = event.audit(), now, False
        action.state = State.FATAL if pretended.name == queue.FATAL_EVENT else State.SUCCESS
        actions = list(self.done.actions.values())
        self._queue(judge_followers(self.done.document, actions, action, event, self._judge), now)

    def note(self, step_id: str, message: str) -> None:
        self.done.notes.append(FlowIssue(f"results.{step_id}", message))

    def _judge(self, step: StepDefinition, event: Event, inherited: Context, cause: Action | None) -> Outcome:
        if time.monotonic() - self.began > MOST_SECONDS:
            raise TooLongError(f"judging the steps takes too long (more than {MOST_SECONDS:g} seconds)")
        trace = Trace()
        outcome = evaluate(step, event, inherited, read_datastore, trace)
        self.done.judged.append(Judged(step, event, cause.step_id if cause else "", inherited, outcome, trace))
        return outcome

    def _queue(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        for outcome in outcomes:
            if outcome.draft:
                self.done.actions[outcome.step_id] = queue.drafted(OWNER, outcome.draft, now)
