"""Evaluation of one step on one event. Pure: reads only its arguments, and writes nothing.

The real run, the dry run and the tests share it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from flows.definition import FALSE_VALUES, TRUE_VALUES, StepDefinition
from flows.template import (
    MAX_QUOTED_LENGTH,
    REDACTED,
    CompiledValue,
    RenderContext,
    Secret,
    Template,
    TemplateError,
    TemplateWarning,
    to_record,
)
from flyte_site.core.secrets.redaction import MASK, is_secret_key, iter_masked_texts, preview_json, secrets_contained_in
from flyte_site.core.timestamps import format_rfc3339, parse_rfc3339
from packs.models import Action, Pack, build_labels_key
from packs.queue.action_queue import ActionSpec
from packs.queue.action_secrets import ActionSecrets, InputPath

MAX_LABELS_KEY_LENGTH = 1000
MAX_READ_LENGTH = 200
MASKED_ERROR = "error details hidden because they quote a masked value"
MASKED_WARNING = "warning details hidden because the criteria read a masked value"

DatastoreLookup = Callable[[str], object]
StepContext = Mapping[str, str | Secret]


@dataclass(frozen=True)
class EventSource:
    """The pack that sent an event, as it was then."""

    identity: str
    name: str
    labels: Mapping[str, str]

    @classmethod
    def of_pack(cls, pack: Pack) -> "EventSource":
        return cls(pack.identity, pack.name, pack.labels)


@dataclass(frozen=True)
class IncomingEvent:
    """An event or a result that a pack sent."""

    pack: EventSource
    name: str
    payload: Any
    created_at: datetime
    received_at: datetime

    @cached_property
    def template_record(self) -> object:
        """The variable `Event` of templates, which all flows that the event starts share."""
        pack = {"Id": self.pack.identity, "Name": self.pack.name, "Labels": dict(self.pack.labels)}
        event = {
            "Name": self.name,
            "Pack": pack,
            "Payload": self.payload,
            "CreatedAt": self.created_at,
            "ReceivedAt": self.received_at,
        }
        return to_record(event)

    def to_json(self) -> dict[str, Any]:
        """Serialize the event as in `/v1/audit`; empty fields are left out, as the original does.

        The result is always the same object, so that all flows that the event starts store it once.
        """
        return self._json

    @cached_property
    def _json(self) -> dict[str, Any]:
        pack: dict[str, Any] = {"id": self.pack.identity, "name": self.pack.name}
        if self.pack.labels:
            pack["labels"] = dict(self.pack.labels)
        data: dict[str, Any] = {"event": self.name, "pack": pack}
        if self.payload is not None:
            data["payload"] = self.payload
        return data | {"createdAt": format_rfc3339(self.created_at), "receivedAt": format_rfc3339(self.received_at)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "IncomingEvent":
        """Parse an event that `to_json` serialized."""
        source = EventSource(data["pack"]["id"], data["pack"]["name"], data["pack"].get("labels", {}))
        times = (parse_rfc3339(data["createdAt"]), parse_rfc3339(data["receivedAt"]))
        return cls(source, data["event"], data.get("payload"), *times)


class OutcomeKind(StrEnum):
    """Outcome of a step's evaluation."""

    FIRED = "fired"
    LABELS_MISMATCH = "labels"
    CRITERIA_FALSE = "criteria"
    ERROR = "error"


@dataclass(frozen=True)
class StepOutcome:
    """Outcome of one step for one event; `action_spec` is the action to queue, if the step fired."""

    step_id: str
    kind: OutcomeKind
    action_spec: ActionSpec | None = None
    message: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Serialize the outcome as in `/v1/audit/events`."""
        data: dict[str, Any] = {"stepId": self.step_id, "outcome": str(self.kind)}
        if self.message:
            data["message"] = self.message
        if self.kind is OutcomeKind.ERROR:
            data |= {"path": self.path, "line": self.line, "column": self.column}
        return data | dict(self.details)


@dataclass(frozen=True)
class StepCandidate:
    """A step to evaluate on an event, with the context that it inherits.

    `triggering_action` is the action whose result the event is; None for a trigger step. `error` is set if the context
    can't be read: then it is the outcome.
    """

    step: StepDefinition
    event: IncomingEvent
    inherited_context: StepContext = field(default_factory=dict)
    triggering_action: Action | None = None
    error: StepOutcome | None = None


@dataclass
class StepTrace:
    """Results of the parts of a step, as far as it was evaluated; None for a part that was not reached.

    In `context` and `input` a text that could not be rendered is None, and `errors` have the reasons in their order;
    texts that read a secret are masked. `reads` has the values that the criteria looked up, as JSON, truncated and
    masked. `warnings` are probable mistakes that depend on the values, such as a number that is compared with text.
    """

    context: dict[str, Any] | None = None
    required_labels: dict[str, Any] | None = None
    verdict: str | None = None
    reads: dict[str, str] = field(default_factory=dict)
    command_labels: dict[str, Any] | None = None
    input: Any = None
    errors: list[TemplateError] = field(default_factory=list)
    warnings: list[TemplateWarning] = field(default_factory=list)


def evaluate_step(candidate: StepCandidate, lookup: DatastoreLookup, trace: StepTrace | None = None) -> StepOutcome:
    """Evaluate the step's context, then its labels, criteria and command, each with the results of those before.

    `lookup(key)` reads the datastore: it raises `LookupError`, and returns a `Secret` for a value that may not be
    shown. A `trace` records the result of each part; that takes longer and does not change the outcome.
    """
    if candidate.error:
        return candidate.error
    evaluation = RenderContext({"Event": candidate.event.template_record}, lookup)
    evaluation.set_step_context(candidate.inherited_context)
    if trace:
        evaluation.collected_errors = trace.errors
        evaluation.collected_warnings = trace.warnings
    try:
        return _evaluate_parts(candidate, evaluation, trace or StepTrace())
    except TemplateError as error:
        if trace:
            trace.reads = _collect_reads(evaluation)
        for each in [error, *(trace.errors if trace else ())]:
            each.message = _hide_masked_values(each.message, candidate.event.payload)
        return StepOutcome(
            candidate.step.id,
            OutcomeKind.ERROR,
            message=error.message,
            path=error.path,
            line=error.line,
            column=error.column,
        )


def _evaluate_parts(candidate: StepCandidate, evaluation: RenderContext, trace: StepTrace) -> StepOutcome:
    step, event = candidate.step, candidate.event
    own_context = step.context.render(evaluation)
    trace.context = _redact(own_context, evaluation)
    _raise_first_error(evaluation)
    context = {**candidate.inherited_context, **own_context}
    if own_context:
        evaluation.set_step_context(context)
    required_labels, trace.required_labels = _render_labels(step.event.pack_labels, evaluation)
    _raise_first_error(evaluation)
    if secret_label := _find_secret_label(required_labels):
        return _report_secret_label(step, f"{step.path}.event.packLabels.{secret_label}")
    if not required_labels.items() <= event.pack.labels.items():
        details = {"wanted": required_labels, "had": dict(event.pack.labels)}
        return StepOutcome(
            step.id,
            OutcomeKind.LABELS_MISMATCH,
            message="the pack lacks labels that the step requires",
            details=details,
        )
    if step.criteria is not None:
        is_tracing = evaluation.collected_errors is not None
        verdict = _render_criteria(step.criteria, f"{step.path}.criteria", evaluation, is_tracing)
        if evaluation.taint.is_tainted and verdict not in TRUE_VALUES | FALSE_VALUES:
            verdict = MASK
        trace.verdict = verdict
        trace.reads = _collect_reads(evaluation)
        if verdict not in TRUE_VALUES:
            if not is_tracing:
                _trace_criteria(step.criteria, trace, f"{step.path}.criteria", evaluation)
            return _report_criteria_false(step, verdict, trace)
    command_labels, trace.command_labels = _render_labels(step.command.pack_labels, evaluation)
    _raise_first_error(evaluation)
    if secret_label := _find_secret_label(command_labels):
        return _report_secret_label(step, f"{step.path}.command.packLabels.{secret_label}")
    if command_labels and len(build_labels_key(command_labels)) > MAX_LABELS_KEY_LENGTH:
        message = f"labels are too large: the limit is {MAX_LABELS_KEY_LENGTH} characters as JSON"
        return StepOutcome(step.id, OutcomeKind.ERROR, message=message, path=f"{step.path}.command.packLabels")
    resolved_input = step.command.input.render(evaluation)
    trace.input = _redact(resolved_input, evaluation)
    _raise_first_error(evaluation)
    action_spec = ActionSpec(
        step_id=step.id,
        pack_name=step.command.pack_name,
        pack_labels=command_labels,
        name=step.command.name,
        input=trace.input,
        context=_redact(context, evaluation),
        secrets=_collect_secrets(resolved_input, context, evaluation),
        trigger=event.to_json(),
        triggered_by=candidate.triggering_action.id if candidate.triggering_action else "",
        timeout=step.command.timeout,
        retries=step.command.retries,
        backoff=step.command.backoff,
    )
    return StepOutcome(step.id, OutcomeKind.FIRED, action_spec=action_spec)


def _render_labels(labels: CompiledValue, evaluation: RenderContext) -> tuple[dict[str, Any], dict[str, Any]]:
    """Render the labels, of which each value is a template; return them, and a copy with masked secrets."""
    rendered: dict[str, Any] = labels.render(evaluation) if labels.templates else {}
    return rendered, _redact(rendered, evaluation)


def _hide_masked_values(message: str, payload: Any) -> str:
    """Return the message of an error, without details if it quotes a value that is masked in the payload."""
    is_quoted = any(text and repr(text[:MAX_QUOTED_LENGTH]) in message for text in iter_masked_texts(payload))
    return MASKED_ERROR if is_quoted else message


def _redact(value: Any, evaluation: RenderContext) -> Any:
    """Mask the secrets in a rendered value."""
    return redact_secrets(value) if evaluation.context_secrets or evaluation.taint.was_ever_tainted else value


def redact_secrets(value: Any) -> Any:
    """Copy a JSON value with a mask in place of each `Secret`."""
    if isinstance(value, Mapping):
        return {key: redact_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [redact_secrets(each) for each in value]
    return MASK if isinstance(value, Secret) else value


def _collect_secrets(resolved_input: Any, context: StepContext, evaluation: RenderContext) -> ActionSecrets | None:
    """Collect the secrets of an action with this input and context; None if it has none."""
    if not evaluation.context_secrets and not evaluation.taint.was_ever_tainted:
        return None
    input_secrets = [*_iter_secret_paths(resolved_input, [])]
    context_secrets = {name: value for name, value in context.items() if isinstance(value, Secret)}
    if not input_secrets and not context_secrets:
        return None
    input_texts = [(path, str(secret.value)) for path, secret in input_secrets]
    context_texts = {name: str(secret.value) for name, secret in context_secrets.items()}
    sources = dict.fromkeys(
        source
        for secret in [*(secret for _, secret in input_secrets), *context_secrets.values()]
        for source in secret.sources
    )
    # The pack can't repeat a source that none of its texts contains.
    relevant_sources = secrets_contained_in(sources, [*(text for _, text in input_texts), *context_texts.values()])
    return ActionSecrets(input_texts, context_texts, relevant_sources)


def _iter_secret_paths(value: Any, path: InputPath) -> Iterator[tuple[InputPath, Secret]]:
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _iter_secret_paths(each, [*path, key])
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _iter_secret_paths(each, [*path, index])


def _find_secret_label(labels: Mapping[str, Any]) -> str:
    return next((name for name, value in labels.items() if isinstance(value, Secret)), "")


def _report_secret_label(step: StepDefinition, path: str) -> StepOutcome:
    return StepOutcome(
        step.id, OutcomeKind.ERROR, message="a label must not read a secret: labels are visible to everyone", path=path
    )


def _raise_first_error(evaluation: RenderContext) -> None:
    """Raise the first collected error, if errors are collected: without a trace it would have been raised here."""
    if evaluation.collected_errors:
        raise evaluation.collected_errors[0]


def _render_criteria(criteria: Template, path: str, evaluation: RenderContext, is_tracing: bool) -> str:
    try:
        return (criteria.with_read_tracking() if is_tracing else criteria).render(evaluation)
    except TemplateError as error:
        error.path = error.path or path
        if evaluation.collected_errors is not None:
            evaluation.collected_errors.append(error)
        raise
    finally:
        if evaluation.collected_warnings is not None:
            _collect_criteria_warnings(criteria, path, evaluation, evaluation.collected_warnings)


def _trace_criteria(criteria: Template, trace: StepTrace, path: str, evaluation: RenderContext) -> None:
    """Render the criteria once more, and record the values that they looked up and the warnings."""
    evaluation.collected_warnings = trace.warnings
    # The second rendering can exceed the budget; the reads until then are recorded.
    with suppress(TemplateError):
        criteria.with_read_tracking().render(evaluation)
    trace.reads = _collect_reads(evaluation)
    _collect_criteria_warnings(criteria, path, evaluation, trace.warnings)


def _collect_criteria_warnings(
    criteria: Template, path: str, evaluation: RenderContext, warnings: list[TemplateWarning]
) -> None:
    """Collect the warnings of the criteria, without details if a value that they read is masked."""
    start = len(warnings)
    evaluation.collect_warnings(criteria.source, path)
    if any(value is REDACTED or is_secret_key(name) for name, value in evaluation.tracked_reads.items()):
        warnings[start:] = [replace(warning, message=MASKED_WARNING) for warning in warnings[start:]]


def _collect_reads(evaluation: RenderContext) -> dict[str, str]:
    return {
        name[:MAX_READ_LENGTH]: json.dumps(MASK, ensure_ascii=False)
        if value is REDACTED or (value is not None and is_secret_key(name))
        else preview_json(value, MAX_READ_LENGTH)
        for name, value in evaluation.tracked_reads.items()
    }


def _report_criteria_false(step: StepDefinition, verdict: str, trace: StepTrace) -> StepOutcome:
    message = "the criteria are false"
    if verdict not in FALSE_VALUES:
        message = f"criteria evaluated to {verdict[:100]!r}, expected true or false; treated as false"
    path = f"{step.path}.criteria"
    warnings = list(dict.fromkeys(warning.message for warning in trace.warnings if warning.path == path))
    details: dict[str, Any] = {"saw": trace.reads} if trace.reads else {}
    return StepOutcome(
        step.id,
        OutcomeKind.CRITERIA_FALSE,
        message=message,
        details=details | ({"warnings": warnings} if warnings else {}),
    )
