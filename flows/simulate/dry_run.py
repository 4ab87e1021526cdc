"""Dry runs: the effects that an event and simulated results would have on a flow; nothing is queued or written.

Steps are evaluated by the engine's own code (`matching`, `step`), and the datastore is actually read.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flows.definition import TRUE_VALUES, FlowDefinition, FlowIssue, StepDefinition
from flows.engine.complete import redact_result
from flows.engine.matching import dependent_candidates, read_datastore, trigger_candidates
from flows.engine.step import (
    EventSource,
    IncomingEvent,
    OutcomeKind,
    StepCandidate,
    StepOutcome,
    StepTrace,
    evaluate_step,
    redact_secrets,
)
from flyte_site.core.secrets.redaction import redact_keys
from packs.models import Action, ActionState, Pack, build_pack_id
from packs.queue import action_queue
from packs.queue.action_queue import ExecutionRef
from packs.queue.results import FATAL_EVENT

NOT_REACHED = "notReached"
# Each step has its own time limit; this one is for the whole dry run, so that it does not block the server.
MAX_SECONDS = 10.0
SIMULATED_EXECUTION = ExecutionRef(correlation_id="", flow_name="", flow_uuid="")


class DryRunTimeoutError(Exception):
    """Evaluation of the flow's steps exceeds the time limit of a dry run."""


@dataclass(frozen=True)
class SimulatedResult:
    """The result event of an action. `pack` None means a pack with the labels that the command requires."""

    name: str
    payload: Any = None
    pack: EventSource | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class StepEvaluation:
    """One evaluation of a step: the candidate, its outcome, and the results of its parts."""

    candidate: StepCandidate
    outcome: StepOutcome
    trace: StepTrace

    @property
    def errors(self) -> list[FlowIssue]:
        """The parts that could not be rendered, each with its position in the document."""
        issues = [FlowIssue(error.path, error.message, error.line, error.column) for error in self.trace.errors]
        if not issues and self.outcome.kind is OutcomeKind.ERROR:
            issues = [FlowIssue(self.outcome.path, self.outcome.message, self.outcome.line, self.outcome.column)]
        return issues


@dataclass
class DryRun:
    """The result of a dry run: every evaluation of a step, in order, and the actions by step id.

    The actions are not saved; an action with a simulated result has it. `notes` concern the input.
    """

    definition: FlowDefinition
    event: IncomingEvent
    evaluations: list[StepEvaluation] = field(default_factory=list)
    actions: dict[str, Action] = field(default_factory=dict)
    notes: list[FlowIssue] = field(default_factory=list)

    @property
    def would_start(self) -> bool:
        """Return whether an execution would start."""
        return bool(self.actions)

    @property
    def has_errors(self) -> bool:
        """Return whether a step could not be evaluated."""
        return any(evaluation.outcome.kind is OutcomeKind.ERROR for evaluation in self.evaluations)

    def to_json(self) -> dict[str, Any]:
        """Return the response of `POST /v1/flows/dry-run`, with probable secrets redacted."""
        return {
            "flow": self.definition.name,
            "event": redact_keys(self.event.to_json()),
            "starts": self.would_start,
            "steps": [self._step_to_json(step) for step in self.definition.steps],
            "notes": [{"path": note.path, "message": note.message} for note in self.notes],
        }

    def _step_to_json(self, step: StepDefinition) -> dict[str, Any]:
        evaluations = [evaluation for evaluation in self.evaluations if evaluation.candidate.step.id == step.id]
        data: dict[str, Any] = {"stepId": step.id}
        data |= (
            _evaluation_to_json(evaluations[-1])
            if evaluations
            else {"outcome": NOT_REACHED, "message": self._explain_not_reached(step)}
        )
        if len(evaluations) > 1:
            data["earlier"] = [_evaluation_to_json(evaluation) for evaluation in evaluations[:-1]]
        data["event"] = {"packName": step.event.pack_name, "name": step.event.name}
        if step.depends_on:
            data |= {"dependsOn": list(step.depends_on), "dependsOnMode": step.depends_on_mode}
        action = self.actions.get(step.id)
        if action and action.result:
            data["result"] = redact_keys(action.result)
        return data

    def _explain_not_reached(self, step: StepDefinition) -> str:
        if step.is_trigger:
            return f"waits for {step.event.full_name}; the event is {self.event.pack.name}.{self.event.name}"
        missing_steps = [
            self._describe_missing(step_id) for step_id in step.depends_on if not self._is_finished(step_id)
        ]
        if not step.are_dependencies_met([step_id for step_id in step.depends_on if self._is_finished(step_id)]):
            return f"waits for {step.describe_dependencies(missing_steps)}"
        result_names = ", ".join(
            _format_result(action.result) for action in self.actions.values() if action.is_finished
        )
        return f"waits for {step.event.full_name}; the results are {result_names}"

    def _is_finished(self, step_id: str) -> bool:
        return step_id in self.actions and self.actions[step_id].is_finished

    def _describe_missing(self, step_id: str) -> str:
        return f"{step_id} ({'no result yet' if step_id in self.actions else 'has not fired'})"


def _format_result(result: Mapping[str, Any]) -> str:
    return f"{result['pack']['name']}.{result['event']}"


def _evaluation_to_json(evaluation: StepEvaluation) -> dict[str, Any]:
    """Return one evaluation of a step: the parts that were evaluated, and the outcome."""
    trace, outcome, candidate = evaluation.trace, evaluation.outcome, evaluation.candidate
    step = candidate.step
    data: dict[str, Any] = {"outcome": str(outcome.kind)}
    if outcome.message:
        data["message"] = outcome.message
    if candidate.triggering_action:
        data |= {
            "cause": candidate.triggering_action.step_id,
            "inherited": redact_keys(redact_secrets(candidate.inherited_context)),
        }
    if trace.context is not None:
        data["context"] = redact_keys(trace.context)
    if trace.required_labels is not None:
        source_labels = dict(candidate.event.pack.labels)
        data["labels"] = {
            "wanted": trace.required_labels,
            "had": source_labels,
            "hold": trace.required_labels.items() <= source_labels.items(),
        }
    if step.criteria is not None and (trace.verdict is not None or trace.reads):
        data["criteria"] = {"template": step.criteria.source, "saw": trace.reads}
        if trace.verdict is not None:
            data["criteria"] |= {"verdict": trace.verdict, "holds": trace.verdict in TRUE_VALUES}
    if trace.command_labels is not None:
        command = {"packName": step.command.pack_name, "packLabels": trace.command_labels, "name": step.command.name}
        data["command"] = command | {"input": redact_keys(trace.input)}
    if errors := evaluation.errors:
        data["errors"] = [
            {"path": error.path, "message": error.message, "line": error.line, "column": error.column}
            for error in errors
        ]
    if trace.warnings:
        data["warnings"] = [asdict(warning) for warning in trace.warnings]
    return data


def dry_run_flow(
    definition: FlowDefinition, event: IncomingEvent, results: Mapping[str, SimulatedResult] | None = None
) -> DryRun:
    """Evaluate the flow's steps on the event as the engine would, then the dependent steps on the simulated results.

    `results` are by step id. They are used in order, but each only after its step has fired. Raises
    `DryRunTimeoutError`.
    """
    simulation = _Simulation(DryRun(definition, event))
    simulation.start()
    pending_results = dict(results or {})
    while step_id := next(
        (pending_id for pending_id in pending_results if pending_id in simulation.dry_run.actions), None
    ):
        simulation.finish_action(simulation.dry_run.actions[step_id], pending_results.pop(step_id))
    for step_id in pending_results:
        simulation.add_note(step_id, f"result not used: step {step_id!r} has not fired")
    return simulation.dry_run


@dataclass
class _Simulation:
    dry_run: DryRun
    finished_count: int = 0
    started: float = field(default_factory=time.monotonic)

    def start(self) -> None:
        event = self.dry_run.event
        self._evaluate(trigger_candidates(self.dry_run.definition, event), event.received_at)

    def finish_action(self, action: Action, simulated: SimulatedResult) -> None:
        """Finish an action with a simulated result, and evaluate dependent steps."""
        source = simulated.pack or EventSource(
            build_pack_id(action.pack_name, action.pack_labels), action.pack_name, action.pack_labels
        )
        if not Pack(name=source.name, labels=dict(source.labels)).can_take(action):
            self.add_note(action.step_id, "rejected: the pack's name or labels do not match the action")
            return
        self.finished_count += 1
        now = self.dry_run.event.received_at + timedelta(milliseconds=self.finished_count)
        received = IncomingEvent(source, simulated.name, simulated.payload, simulated.created_at or now, now)
        event = redact_result(action, received)
        action.result, action.finished_at, action.is_queued = event.to_json(), now, False
        action.state = ActionState.FATAL if simulated.name == FATAL_EVENT else ActionState.SUCCESS
        actions = list(self.dry_run.actions.values())
        self._evaluate(dependent_candidates(self.dry_run.definition, actions, action, event), now)

    def add_note(self, step_id: str, message: str) -> None:
        self.dry_run.notes.append(FlowIssue(f"results.{step_id}", message))

    def _evaluate(self, candidates: Iterable[StepCandidate], now: datetime) -> None:
        """Evaluate the candidates, and add the actions of the steps that fired."""
        evaluations = []
        for candidate in candidates:
            if time.monotonic() - self.started > MAX_SECONDS:
                raise DryRunTimeoutError(f"dry run takes too long (more than {MAX_SECONDS:g} seconds)")
            trace = StepTrace()
            outcome = evaluate_step(candidate, read_datastore, trace)
            evaluations.append(StepEvaluation(candidate, outcome, trace))
        self.dry_run.evaluations += evaluations
        for evaluation in evaluations:
            if spec := evaluation.outcome.action_spec:
                self.dry_run.actions[spec.step_id] = action_queue.build_action(SIMULATED_EXECUTION, spec, now)
