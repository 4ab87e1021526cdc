"""The page of an execution: its steps with their statuses, and the reasons why some were not reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.safestring import SafeString

from audit import lookups
from audit.charts import timeline_svg
from audit.search.index_ranges import IdRange, filter_range
from audit.summary import summarize_execution
from audit.timeline import get_status
from audit.view_models.hosted import HostedResourceRow, build_resource_row, find_waiting_for_quota, fingerprint
from flows.definition import StepOutline, read_outline
from flows.diagram import NOT_REACHED, make_step_anchor, render_diagram
from flows.models import Event, Execution, ExecutionState
from flyte_site.core.ids import min_id_at
from flyte_site.core.secrets.redaction import redact_keys
from packs.models import Action, ActionState, HostedResource, Pack

MAX_REPLAYS = 20
MAX_RESULTS = 20
MAX_EVENTS = 200
# A result event gets its id when it is written, soon after its receipt.
RESULT_TIME_TOLERANCE = timedelta(minutes=1)
MAX_PACKS = 50


@dataclass(frozen=True)
class LastEvaluation:
    """The outcome of a step's last evaluation, and the event that caused it."""

    outcome: Mapping[str, Any]
    event: Event


@dataclass(frozen=True)
class StepDetail:
    """A step of the execution. `json_parts`: the action's JSON values by title, with secrets redacted."""

    id: str
    anchor: str
    state: str
    waits_for: str
    after: str
    action: Action | None = None
    json_parts: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()
    evaluation: LastEvaluation | None = None
    criteria: str = ""
    can_retry: bool = False
    available_packs: Sequence[Pack] = ()
    hosted_resource: HostedResourceRow | None = None

    @property
    def dialog_id(self) -> str:
        """Return the id of the retry dialog."""
        return f"retry-{self.anchor}"


@dataclass(frozen=True)
class ExecutionDetail:
    """An execution as its page shows it. `hosted_fingerprint` changes with the status of its hosted resources."""

    execution: Execution
    summary: str
    steps: list[StepDetail]
    diagram: SafeString
    timeline: list[timeline_svg.TimelineRow]
    replays: list[Execution]
    event: Event | None
    now: datetime
    hosted_fingerprint: str = ""

    @property
    def is_running(self) -> bool:
        return self.execution.state == ExecutionState.RUNNING

    @property
    def request_id(self) -> str:
        """Return the request id that the log has for everything that the trigger event caused; '' if unknown."""
        return next((row.action.request_id for row in self.timeline if row.action.request_id), "")

    @property
    def duration(self) -> timedelta | None:
        """Return the run time; None while the execution runs."""
        return self.execution.ended_at - self.execution.started_at if self.execution.ended_at else None

    @property
    def fingerprint(self) -> str:
        """Return a text that changes whenever anything but the time changes."""
        log_lengths = "".join(f"{len(row.action.state_log)}.{len(row.action.attempt_log)}." for row in self.timeline)
        return f"{self.execution.state}-{len(self.execution.errors)}-{log_lengths}{self.hosted_fingerprint}"

    @property
    def flow_errors(self) -> list[Any]:
        """Return the errors that belong to no step."""
        return [error for error in self.execution.errors if not error.get("stepId")]

    @property
    def reached(self) -> list[StepDetail]:
        return [step for step in self.steps if step.action]

    @property
    def not_evaluated(self) -> list[StepDetail]:
        """Return the steps that failed with an error before they queued an action."""
        return [step for step in self.steps if step.errors and not step.action]

    @property
    def not_reached(self) -> list[StepDetail]:
        return [step for step in self.steps if not step.action and not step.errors]


@dataclass(frozen=True)
class _StepData:
    """Data of all steps: actions and evaluations by step id, and packs that could take queued actions."""

    actions: Mapping[str, Action]
    evaluations: Mapping[str, LastEvaluation]
    available_packs: Sequence[Pack]
    hosted_resources: Mapping[str, HostedResource]
    now: datetime


def build_execution_detail(execution_id: str, now: datetime) -> ExecutionDetail | None:
    """Load everything that the execution's page shows; None if the execution does not exist. At most seven queries."""
    execution = Execution.objects.select_related("version").filter(id=execution_id).first()
    if execution is None:
        return None
    actions = list(Action.objects.filter(correlation_id=execution_id).order_by("id"))
    evaluations = _find_evaluations(execution, actions)
    hosted_resources = lookups.find_hosted_resources({execution_id: actions})
    step_data = _StepData(
        {action.step_id: action for action in actions}, evaluations, _find_awaited_packs(actions), hosted_resources, now
    )
    steps = [_build_step(execution, step, step_data) for step in read_outline(execution.version.document).steps]
    return ExecutionDetail(
        execution=execution,
        summary=summarize_execution(execution, actions, now, find_waiting_for_quota(hosted_resources)),
        steps=steps,
        diagram=render_diagram(execution.version.document, {step.id: step.state for step in steps}),
        timeline=timeline_svg.build_timeline_rows(actions, now),
        replays=list(filter_range(Execution.objects.all(), {"replay_of": execution_id}, "id", IdRange())[:MAX_REPLAYS]),
        event=Event.objects.filter(id=execution.event_id).only("id", "name", "pack_name").first(),
        now=now,
        hosted_fingerprint=fingerprint(hosted_resources),
    )


def _build_step(execution: Execution, step: StepOutline, step_data: _StepData) -> StepDetail:
    action = step_data.actions.get(step.id)
    errors = [error for error in execution.errors if error.get("stepId") == step.id]
    return StepDetail(
        id=step.id,
        anchor=make_step_anchor(step.id),
        state=get_status(action, step_data.now) if action else "error" if errors else NOT_REACHED,
        waits_for=step.event.full_name if step.event else "",
        after=step.describe_dependencies(),
        action=action,
        json_parts=_build_json_parts(action) if action else {},
        errors=errors,
        evaluation=None if action or errors else step_data.evaluations.get(step.id),
        criteria=step.criteria,
        can_retry=bool(action and action.state == ActionState.FATAL and execution.state != ExecutionState.CANCELLED),
        hosted_resource=build_resource_row(step_data.hosted_resources[action.id])
        if action and action.id in step_data.hosted_resources
        else None,
        available_packs=[pack for pack in step_data.available_packs if action and pack.can_take(action)],
    )


def _find_awaited_packs(actions: Sequence[Action]) -> list[Pack]:
    """Find packs with the names that queued actions ask for, the most recently seen first."""
    names = {action.pack_name for action in actions if action.state == ActionState.NEW}
    return list(Pack.objects.filter(name__in=names).order_by("-last_seen")[:MAX_PACKS])


def _build_json_parts(action: Action) -> dict[str, Any]:
    """Return the action's JSON values by title, in the order in which they were created."""
    json_parts = {
        "Trigger": action.trigger,
        "Context": action.context,
        "Input": action.input,
        "Earlier attempts": _find_earlier_attempts(action),
        "Result": action.result,
        "Late results": [entry for entry in action.attempt_log if entry.get("late")],
    }
    return {name: redact_keys(value) for name, value in json_parts.items() if value or name == "Input"}


def _find_earlier_attempts(action: Action) -> list[Any]:
    """Return the log of the attempts before the last one; after an expired lease the log has the last one too."""
    last = action.attempt - 1 if action.is_finished else action.attempt
    return [entry for entry in action.attempt_log if entry["attempt"] <= last and not entry.get("late")]


def _find_evaluations(execution: Execution, actions: Sequence[Action]) -> dict[str, LastEvaluation]:
    """Find the last evaluation of each step among this execution's stored events. Result events are searched for around
    the time of their receipt, because packs of one name may have many events.
    """
    event_filter = Q(id=execution.event_id)
    ended = sorted(
        (action.finished_at, action.id, action) for action in actions if action.result and action.finished_at
    )
    for finished_at, _, action in ended[-MAX_RESULTS:]:
        ids = {
            "id__gte": min_id_at(finished_at - RESULT_TIME_TOLERANCE),
            "id__lt": min_id_at(finished_at + RESULT_TIME_TOLERANCE),
        }
        pack_name, name = action.result["pack"]["name"], action.result["event"]
        event_filter |= Q(pack_name=pack_name, name=name, correlation_id=execution.id, **ids)
    events = Event.objects.filter(event_filter).defer("payload").order_by("-id")[:MAX_EVENTS]
    evaluations: dict[str, LastEvaluation] = {}
    for event in events:
        for outcome in _find_outcomes(event, execution.id):
            evaluations.setdefault(outcome["stepId"], LastEvaluation(outcome, event))
    return evaluations


def _find_outcomes(event: Event, execution_id: str) -> list[Mapping[str, Any]]:
    execution_flows = (flow for flow in event.outcomes if flow.get("correlationId") == execution_id)
    return [outcome for flow in execution_flows for outcome in flow["steps"]]
