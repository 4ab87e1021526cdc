"""One step against one event: what comes of it. Pure: reads nothing but its arguments, and writes nothing.

The real run, the dry run and the tests share it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from flows.document import FALSE_VALUES, TRUE_VALUES, StepDefinition
from flows.lang import REDACTED, RenderContext, Secret, Template, TemplateError
from flyte_site.echoes import found_in
from flyte_site.masking import MASK, is_secret, masked_text
from flyte_site.times import to_text
from packs.models import label_key
from packs.queue import Draft
from packs.sealed import Place, Secrets

MAX_LABEL_KEY = 1000
MAX_SEEN_CHARACTERS = 200

Datastore = Callable[[str], object]
Context = Mapping[str, str | Secret]


@dataclass(frozen=True)
class PackSeen:
    """The pack that an event came from, as it was then."""

    identity: str
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """Something that happened, as a pack told it. `has_payload` tells a payload of null from none."""

    pack: PackSeen
    name: str
    payload: Any
    created_at: datetime
    received_at: datetime

    def variables(self) -> dict[str, Any]:
        """What templates see as `Event`."""
        pack = {"Id": self.pack.identity, "Name": self.pack.name, "Labels": dict(self.pack.labels)}
        return {
            "Name": self.name,
            "Pack": pack,
            "Payload": self.payload,
            "CreatedAt": self.created_at,
            "ReceivedAt": self.received_at,
        }

    def audit(self) -> dict[str, Any]:
        """The event as the audit shows it: what is empty is left out, as the original does."""
        pack: dict[str, Any] = {"id": self.pack.identity, "name": self.pack.name}
        if self.pack.labels:
            pack["labels"] = dict(self.pack.labels)
        shown: dict[str, Any] = {"event": self.name, "pack": pack}
        if self.payload is not None:
            shown["payload"] = self.payload
        return shown | {"createdAt": to_text(self.created_at), "receivedAt": to_text(self.received_at)}


class Kind(StrEnum):
    """What came of a step."""

    FIRED = "fired"
    LABELS = "labels"
    CRITERIA = "criteria"
    ERROR = "error"


@dataclass(frozen=True)
class Outcome:
    """What came of one step for one event; `draft` is the action it asks for, if it fired."""

    step_id: str
    kind: Kind
    draft: Draft | None = None
    message: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)

    def audit(self) -> dict[str, Any]:
        """The outcome as `/v1/audit/events` shows it."""
        shown: dict[str, Any] = {"stepId": self.step_id, "outcome": str(self.kind)}
        if self.message:
            shown["message"] = self.message
        if self.kind is Kind.ERROR:
            shown |= {"path": self.path, "line": self.line, "column": self.column}
        return shown | dict(self.details)


def listens(step: StepDefinition, event: Event) -> bool:
    """Whether the step waits for events of this pack and name; labels and criteria are `evaluate`'s to judge."""
    return step.event.pack_name == event.pack.name and step.event.name == event.name


@dataclass
class Trace:
    """What the parts of a step came to, as far as it was judged; None is what was not reached.

    In `context` and `input` a text that could not be rendered is None, and `errors` say why, the first one first; what
    was drawn from a secret is masked. `saw` has what the criteria looked up, each value as JSON, cut and masked.
    """

    context: dict[str, Any] | None = None
    wanted: dict[str, Any] | None = None
    verdict: str | None = None
    saw: dict[str, str] = field(default_factory=dict)
    pack_labels: dict[str, Any] | None = None
    input: Any = None
    errors: list[TemplateError] = field(default_factory=list)


def evaluate(
    step: StepDefinition, event: Event, inherited: Context, datastore: Datastore, trace: Trace | None = None
) -> Outcome:
    """Context, then labels, then criteria, then the command, each seeing what came before it.

    `inherited` is the context that the execution has so far. `datastore(key)` raises `LookupError`, and gives a
    `Secret` where nobody may be shown the value. A `trace` is told what each part came to; that takes longer, and
    changes nothing about the outcome.
    """
    evaluation = RenderContext({"Event": event.variables()}, datastore)
    evaluation.set_step_context(inherited)
    if trace:
        evaluation.collected_errors = trace.errors
    try:
        return _evaluate(step, event, inherited, evaluation, trace or Trace())
    except TemplateError as error:
        if trace:
            trace.saw = _seen(evaluation)
        return Outcome(
            step.id, Kind.ERROR, message=error.message, path=error.path, line=error.line, column=error.column
        )


def _evaluate(
    step: StepDefinition, event: Event, inherited: Context, evaluation: RenderContext, trace: Trace
) -> Outcome:
    own = step.context.render(evaluation)
    trace.context = _shown(own, evaluation)
    _stop_at_errors(evaluation)
    context = {**inherited, **own}
    evaluation.set_step_context(context)
    wanted = step.event.pack_labels.render(evaluation)
    trace.wanted = _shown(wanted, evaluation)
    _stop_at_errors(evaluation)
    if name := _secret_label(wanted):
        return _secret_in_labels(step, f"{step.path}.event.packLabels.{name}")
    if not wanted.items() <= event.pack.labels.items():
        details = {"wanted": wanted, "had": dict(event.pack.labels)}
        return Outcome(step.id, Kind.LABELS, message="the pack lacks labels that the step asks for", details=details)
    if step.criteria is not None:
        watching = evaluation.collected_errors is not None
        verdict = _verdict(step.criteria, f"{step.path}.criteria", evaluation, watching)
        if evaluation.taint.is_tainted and verdict not in TRUE_VALUES | FALSE_VALUES:
            verdict = MASK
        trace.verdict = verdict
        trace.saw = _seen(evaluation)
        if verdict not in TRUE_VALUES:
            return _refused(step, verdict, trace.saw if watching else _look_again(step.criteria, evaluation))
    labels = step.command.pack_labels.render(evaluation)
    trace.pack_labels = _shown(labels, evaluation)
    _stop_at_errors(evaluation)
    if name := _secret_label(labels):
        return _secret_in_labels(step, f"{step.path}.command.packLabels.{name}")
    if len(label_key(labels)) > MAX_LABEL_KEY:
        message = f"the labels have more than {MAX_LABEL_KEY} characters"
        return Outcome(step.id, Kind.ERROR, message=message, path=f"{step.path}.command.packLabels")
    given = step.command.input.render(evaluation)
    trace.input = _shown(given, evaluation)
    _stop_at_errors(evaluation)
    draft = Draft(
        step_id=step.id,
        pack_name=step.command.pack_name,
        pack_labels=labels,
        name=step.command.name,
        input=trace.input,
        context=_shown(context, evaluation),
        secrets=_secrets(given, context, evaluation),
        trigger=event.audit(),
        timeout=step.command.timeout,
        retries=step.command.retries,
        backoff=step.command.backoff,
    )
    return Outcome(step.id, Kind.FIRED, draft=draft)


def _shown(value: Any, evaluation: RenderContext) -> Any:
    """What templates gave, with a mask in place of each secret."""
    return without_secrets(value) if evaluation.context_secrets or evaluation.taint.was_ever_tainted else value


def without_secrets(value: Any) -> Any:
    """A JSON value with a mask in place of each `Secret`."""
    if isinstance(value, Mapping):
        return {key: without_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_secrets(each) for each in value]
    return MASK if isinstance(value, Secret) else value


def _secrets(given: Any, context: Context, evaluation: RenderContext) -> Secrets | None:
    """The secrets of an action with this input and context; None where there are none."""
    if not evaluation.context_secrets and not evaluation.taint.was_ever_tainted:
        return None
    own = [*_places(given, [])]
    named = {name: value for name, value in context.items() if isinstance(value, Secret)}
    if not own and not named:
        return None
    given_texts = [(place, str(secret.value)) for place, secret in own]
    context_texts = {name: str(secret.value) for name, secret in named.items()}
    sources = dict.fromkeys(
        source for secret in [*(secret for _, secret in own), *named.values()] for source in secret.sources
    )
    # What the taker can't make out of the texts it is given it can't repeat.
    known = found_in(sources, [*(text for _, text in given_texts), *context_texts.values()])
    return Secrets(given_texts, context_texts, known)


def _places(value: Any, place: Place) -> Iterator[tuple[Place, Secret]]:
    if isinstance(value, Secret):
        yield place, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _places(each, [*place, key])
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(each, [*place, index])


def _secret_label(labels: Mapping[str, Any]) -> str:
    return next((name for name, value in labels.items() if isinstance(value, Secret)), "")


def _secret_in_labels(step: StepDefinition, path: str) -> Outcome:
    return Outcome(step.id, Kind.ERROR, message="a label is shown to everybody, and must not read a secret", path=path)


def _stop_at_errors(evaluation: RenderContext) -> None:
    """Where errors are only noted, stop where they would have stopped it."""
    if evaluation.collected_errors:
        raise evaluation.collected_errors[0]


def _verdict(criteria: Template, path: str, evaluation: RenderContext, watching: bool) -> str:
    try:
        return (criteria.with_read_tracking() if watching else criteria).render(evaluation)
    except TemplateError as error:
        error.path = error.path or path
        if evaluation.collected_errors is not None:
            evaluation.collected_errors.append(error)
        raise


def _look_again(criteria: Template, evaluation: RenderContext) -> dict[str, str]:
    """What the criteria looked up: they are rendered once more, and this time watched."""
    # The budget may end in the second round; what was seen until then is told.
    with suppress(TemplateError):
        criteria.with_read_tracking().render(evaluation)
    return _seen(evaluation)


def _seen(evaluation: RenderContext) -> dict[str, str]:
    return {
        name[:MAX_SEEN_CHARACTERS]: json.dumps(MASK, ensure_ascii=False)
        if value is REDACTED or (value is not None and is_secret(name))
        else masked_text(value, MAX_SEEN_CHARACTERS)
        for name, value in evaluation.tracked_reads.items()
    }


def _refused(step: StepDefinition, verdict: str, saw: dict[str, str]) -> Outcome:
    message = "the criteria are false"
    if verdict not in FALSE_VALUES:
        message = f"the criteria gave {verdict[:100]!r}, which is neither true nor false, and so counts as false"
    return Outcome(step.id, Kind.CRITERIA, message=message, details={"saw": saw} if saw else {})
