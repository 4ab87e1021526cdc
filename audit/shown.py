"""An execution put together for its page: its steps, where each stands, and why some were not reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.safestring import SafeString

from audit import bars, queries
from audit.hosted_shown import ShownResource, marks, shown_resource, waiting_for_a_turn
from audit.ranges import Ids, in_range
from audit.story import story
from audit.timeline import status
from flows.drawing import NOT_REACHED, anchor, draw
from flows.models import Event, Execution, ExecutionState
from flyte_site.ids import least_id
from flyte_site.masking import masked
from packs.models import Action, HostedResource, Pack, State

MOST_REPLAYS = 20
MOST_RESULTS = 20
MOST_EVENTS = 200
# A result's event gets its id when it is written, soon after it came.
CLOSE = timedelta(minutes=1)
MOST_PACKS = 50


@dataclass(frozen=True)
class Judgement:
    """What came of a step when it was last looked at, and the event that it was looked at for."""

    outcome: Mapping[str, Any]
    event: Event


@dataclass(frozen=True)
class ShownStep:
    """A step of the execution. `parts` are the action's JSON values by what they are, with secrets masked."""

    id: str
    anchor: str
    state: str
    waits_for: str
    after: str
    action: Action | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()
    judgement: Judgement | None = None
    criteria: str = ""
    may_retry: bool = False
    takers: Sequence[Pack] = ()
    hosted: ShownResource | None = None

    @property
    def dialog(self) -> str:
        """The id of what asks before a retry."""
        return f"retry-{self.anchor}"


@dataclass(frozen=True)
class Shown:
    """An execution as its page shows it. `hosted` marks how what hosted packs do for it stands."""

    execution: Execution
    story: str
    steps: list[ShownStep]
    drawing: SafeString
    timeline: list[bars.Row]
    replays: list[Execution]
    event: Event | None
    now: datetime
    hosted: str = ""

    @property
    def runs(self) -> bool:
        return self.execution.state == ExecutionState.RUNNING

    @property
    def request_id(self) -> str:
        """What the log calls all that the beginning event caused; '' where that is not known."""
        return next((row.action.request_id for row in self.timeline if row.action.request_id), "")

    @property
    def took(self) -> timedelta | None:
        """How long it ran; None while it does."""
        return self.execution.ended_at - self.execution.started_at if self.execution.ended_at else None

    @property
    def mark(self) -> str:
        """Another one whenever anything but the time has changed."""
        states = "".join(f"{len(row.action.states)}.{len(row.action.history)}." for row in self.timeline)
        return f"{self.execution.state}-{len(self.execution.errors)}-{states}{self.hosted}"

    @property
    def flow_errors(self) -> list[Any]:
        """Errors that belong to no step."""
        return [error for error in self.execution.errors if not error.get("stepId")]

    @property
    def reached(self) -> list[ShownStep]:
        return [step for step in self.steps if step.action]

    @property
    def not_judged(self) -> list[ShownStep]:
        """Steps that failed with an error before they could ask anything of a pack."""
        return [step for step in self.steps if step.errors and not step.action]

    @property
    def not_reached(self) -> list[ShownStep]:
        return [step for step in self.steps if not step.action and not step.errors]


@dataclass(frozen=True)
class _Known:
    """What was read for the steps: their actions and judgements by step id, and packs that could take what waits."""

    actions: Mapping[str, Action]
    judged: Mapping[str, Judgement]
    packs: Sequence[Pack]
    hosted: Mapping[str, HostedResource]
    now: datetime


def shown(execution_id: str, now: datetime) -> Shown | None:
    """The execution with all that its page tells. Seven queries at most; None where there is none of this id."""
    execution = Execution.objects.select_related("version").filter(id=execution_id).first()
    if execution is None:
        return None
    actions = list(Action.objects.filter(correlation_id=execution_id).order_by("id"))
    judged = _judgements(execution, actions)
    hosted = queries.hosted({execution_id: actions})
    known = _Known({action.step_id: action for action in actions}, judged, _packs_awaited(actions), hosted, now)
    steps = [_step(execution, name, step, known) for name, step in _named_steps(execution)]
    return Shown(
        execution=execution,
        story=story(execution, actions, now, waiting_for_a_turn(hosted)),
        steps=steps,
        drawing=draw(execution.version.document, {step.id: step.state for step in steps}),
        timeline=bars.rows(actions, now),
        replays=list(in_range(Execution.objects.all(), {"replay_of": execution_id}, "id", Ids())[:MOST_REPLAYS]),
        event=Event.objects.filter(id=execution.event_id).only("id", "name", "pack_name").first(),
        now=now,
        hosted=marks(hosted),
    )


def _named_steps(execution: Execution) -> list[tuple[str, Mapping[str, Any]]]:
    steps = execution.version.document.get("steps", [])
    return [(step.get("id") or f"step-{place}", step) for place, step in enumerate(steps, start=1)]


def _step(execution: Execution, name: str, step: Mapping[str, Any], known: _Known) -> ShownStep:
    action = known.actions.get(name)
    errors = [error for error in execution.errors if error.get("stepId") == name]
    joined = " and " if step.get("dependsOnMode") == "all" else " or "
    return ShownStep(
        id=name,
        anchor=anchor(name),
        state=status(action, known.now) if action else "error" if errors else NOT_REACHED,
        waits_for=f"{step['event']['packName']}.{step['event']['name']}",
        after=joined.join(step.get("dependsOn", ())),
        action=action,
        parts=_parts(action) if action else {},
        errors=errors,
        judgement=None if action or errors else known.judged.get(name),
        criteria=step.get("criteria", ""),
        may_retry=bool(action and action.state == State.FATAL and execution.state != ExecutionState.CANCELLED),
        hosted=shown_resource(known.hosted[action.id]) if action and action.id in known.hosted else None,
        takers=[pack for pack in known.packs if action and pack.can_take(action)],
    )


def _packs_awaited(actions: Sequence[Action]) -> list[Pack]:
    """Packs of the names that actions wait for, those that were seen last first."""
    names = {action.pack_name for action in actions if action.state == State.NEW}
    return list(Pack.objects.filter(name__in=names).order_by("-last_seen")[:MOST_PACKS])


def _parts(action: Action) -> dict[str, Any]:
    """What there is of the action's JSON, in the order in which it came to be."""
    parts = {
        "Trigger": action.trigger,
        "Context": action.context,
        "Input": action.input,
        "Earlier attempts": _earlier(action),
        "Result": action.result,
        "Results that came too late": [entry for entry in action.history if entry.get("late")],
    }
    return {name: masked(value) for name, value in parts.items() if value or name == "Input"}


def _earlier(action: Action) -> list[Any]:
    """What became of the attempts before the one that counts; that one is in the history too where its lease ended."""
    last = action.attempt - 1 if action.finished else action.attempt
    return [entry for entry in action.history if entry["attempt"] <= last and not entry.get("late")]


def _judgements(execution: Execution, actions: Sequence[Action]) -> dict[str, Judgement]:
    """What the last kept event of this execution made of each step. Its results are looked for at the times at which
    they came, since many packs of a name keep many events."""
    any_of = Q(id=execution.event_id)
    ended = sorted(
        (action.finished_at, action.id, action) for action in actions if action.result and action.finished_at
    )
    for finished_at, _, action in ended[-MOST_RESULTS:]:
        ids = {"id__gte": least_id(finished_at - CLOSE), "id__lt": least_id(finished_at + CLOSE)}
        pack_name, name = action.result["pack"]["name"], action.result["event"]
        any_of |= Q(pack_name=pack_name, name=name, correlation_id=execution.id, **ids)
    events = Event.objects.filter(any_of).defer("payload").order_by("-id")[:MOST_EVENTS]
    found: dict[str, Judgement] = {}
    for event in events:
        for outcome in _outcomes(event, execution.id):
            found.setdefault(outcome["stepId"], Judgement(outcome, event))
    return found


def _outcomes(event: Event, execution_id: str) -> list[Mapping[str, Any]]:
    own = (flow for flow in event.outcomes if flow.get("correlationId") == execution_id)
    return [outcome for flow in own for outcome in flow["steps"]]
