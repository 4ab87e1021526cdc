"""What flows make of an event before anything is written: who listens, and what each one's trigger steps come to."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet

from flows.document import FlowDefinition, StepDefinition, parse_flow
from flows.judging import judge_triggers
from flows.models import Flow, FlowVersion
from flows.secrecy import read_datastore
from flows.steps import Context, Event, Kind, Outcome, evaluate
from packs.models import Action
from packs.queue import Draft

log = structlog.get_logger(__name__)

COMPILED_FLOWS = 2048

_LISTENING = """SELECT flow.name, flow.version_id FROM flows_listener listener
    JOIN flows_flow flow ON flow.id = listener.flow_id
    WHERE listener.pack_name = %s AND listener.event_name = %s AND flow.enabled ORDER BY flow.id"""


@dataclass
class Attempt:
    """What one flow makes of an event: the outcomes of its steps, and the execution they belong to, if any."""

    flow_name: str
    version_id: str
    outcomes: list[Outcome] = field(default_factory=list)
    correlation_id: str = ""

    @property
    def drafts(self) -> list[Draft]:
        return [outcome.draft for outcome in self.outcomes if outcome.draft]

    def fail(self, error: Exception) -> None:
        """Note a failure that no step could catch; nothing of this flow was kept."""
        log.error("flow_failed", flow=self.flow_name, version=self.version_id, exc_info=error)
        self.correlation_id = ""
        self.outcomes = [Outcome("", Kind.ERROR, message=f"the server failed: {type(error).__name__}")]

    def audit(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"flow": self.flow_name, "uuid": self.version_id}
        if self.correlation_id:
            shown["correlationId"] = self.correlation_id
        return shown | {"steps": [outcome.audit() for outcome in self.outcomes]}


def judge(step: StepDefinition, event: Event, inherited: Context, cause: Action | None) -> Outcome:
    return evaluate(step, event, inherited, read_datastore)


@lru_cache(maxsize=COMPILED_FLOWS)
def compiled(version_id: str) -> FlowDefinition:
    """The flow of a version, ready to run. A version never changes, so it is read once a process."""
    return parse_flow(FlowVersion.objects.only("document").get(id=version_id).document)


def try_triggers(event: Event, among: QuerySet[Flow] | None = None) -> list[Attempt]:
    """Judge the trigger steps of the flows that listen to the event; found by an index, each flow apart from others."""
    attempts = [Attempt(name, version_id) for name, version_id in _listening(event, among)]
    for attempt in attempts:
        try:
            attempt.outcomes = judge_triggers(compiled(attempt.version_id), event, judge)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            attempt.fail(error)
    return attempts


def _listening(event: Event, among: QuerySet[Flow] | None) -> list[tuple[str, str]]:
    """The flows that listen to the event, by name and version."""
    if among is None:
        with connection.cursor() as cursor:
            cursor.execute(_LISTENING, [event.pack.name, event.name])
            found: list[tuple[str, str]] = cursor.fetchall()
            return found
    flows = among.filter(enabled=True, listeners__pack_name=event.pack.name, listeners__event_name=event.name)
    return list(flows.order_by("id").values_list("name", "version_id"))
