"""One step against one event: what comes of it. Pure: reads nothing but its arguments, and writes nothing.

The real run, the dry run and the tests share it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from flows.document import FALSE, TRUE, Step
from flows.lang import Evaluation, Template, TemplateError
from flyte_site.times import to_text
from packs.models import label_key
from packs.queue import Draft

MAX_LABEL_KEY = 1000

Datastore = Callable[[str], object]


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


def listens(step: Step, event: Event) -> bool:
    """Whether the step waits for events of this pack and name; labels and criteria are `evaluate`'s to judge."""
    return step.event.pack_name == event.pack.name and step.event.name == event.name


def evaluate(step: Step, event: Event, inherited: Mapping[str, str], datastore: Datastore) -> Outcome:
    """Context, then labels, then criteria, then the command, each seeing what came before it.

    `inherited` is the context that the execution has so far. `datastore(key)` raises `LookupError`.
    """
    evaluation = Evaluation({"Event": event.variables(), "Context": dict(inherited)}, datastore)
    try:
        return _evaluate(step, event, inherited, evaluation)
    except TemplateError as error:
        return Outcome(
            step.id, Kind.ERROR, message=error.message, path=error.path, line=error.line, column=error.column
        )


def _evaluate(step: Step, event: Event, inherited: Mapping[str, str], evaluation: Evaluation) -> Outcome:
    context = {**inherited, **step.context.resolve(evaluation)}
    evaluation.variables["Context"] = context
    wanted = step.event.pack_labels.resolve(evaluation)
    if not wanted.items() <= event.pack.labels.items():
        details = {"wanted": wanted, "had": dict(event.pack.labels)}
        return Outcome(step.id, Kind.LABELS, message="the pack lacks labels that the step asks for", details=details)
    if step.criteria is not None:
        verdict = _verdict(step.criteria, f"{step.path}.criteria", evaluation)
        if verdict not in TRUE:
            return _refused(step, verdict)
    labels = step.command.pack_labels.resolve(evaluation)
    if len(label_key(labels)) > MAX_LABEL_KEY:
        message = f"the labels have more than {MAX_LABEL_KEY} characters"
        return Outcome(step.id, Kind.ERROR, message=message, path=f"{step.path}.command.packLabels")
    draft = Draft(
        step_id=step.id,
        pack_name=step.command.pack_name,
        pack_labels=labels,
        name=step.command.name,
        input=step.command.input.resolve(evaluation),
        context=context,
        trigger=event.audit(),
        timeout=step.command.timeout,
        retries=step.command.retries,
        backoff=step.command.backoff,
    )
    return Outcome(step.id, Kind.FIRED, draft=draft)


def _verdict(criteria: Template, path: str, evaluation: Evaluation) -> str:
    try:
        return criteria.render(evaluation)
    except TemplateError as error:
        error.path = error.path or path
        raise


def _refused(step: Step, verdict: str) -> Outcome:
    message = "the criteria are false"
    if verdict not in FALSE:
        message = f"the criteria gave {verdict[:100]!r}, which is neither true nor false, and so counts as false"
    return Outcome(step.id, Kind.CRITERIA, message=message)
