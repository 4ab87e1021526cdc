"""What flows make of an event before anything is written: who listens, and what each one's trigger steps come to."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, connection
from django.db.models import QuerySet

from flows.definition import FlowDefinition, StepDefinition, parse_flow
from flows.engine.evaluation import evaluate_triggers
from flows.engine.secrets import read_datastore
from flows.engine.step import IncomingEvent, OutcomeKind, StepContext, StepOutcome, evaluate_step
from flows.models import Flow, FlowVersion
from packs.models import Action
from packs.queue.action_queue import ActionSpec

log = structlog.get_logger(__name__)

MAX_CACHED_DEFINITIONS = 2048

_LISTENING_FLOWS_SQL = """SELECT flow.name, flow.version_id FROM flows_listener listener
    JOIN flows_flow flow ON flow.id = listener.flow_id
    WHERE listener.pack_name = %s AND listener.event_name = %s AND flow.enabled ORDER BY flow.id"""


@dataclass
class FlowMatch:
    """What one flow makes of an event: the outcomes of its steps, and the execution they belong to, if any."""

    flow_name: str
    version_id: str
    outcomes: list[StepOutcome] = field(default_factory=list)
    correlation_id: str = ""

    @property
    def action_specs(self) -> list[ActionSpec]:
        return [outcome.action_spec for outcome in self.outcomes if outcome.action_spec]

    def mark_failed(self, error: Exception) -> None:
        """Note a failure that no step could catch; nothing of this flow was kept."""
        log.error("flow_failed", flow=self.flow_name, version=self.version_id, exc_info=error)
        self.correlation_id = ""
        self.outcomes = [StepOutcome("", OutcomeKind.ERROR, message=f"the server failed: {type(error).__name__}")]

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"flow": self.flow_name, "uuid": self.version_id}
        if self.correlation_id:
            data["correlationId"] = self.correlation_id
        return data | {"steps": [outcome.to_json() for outcome in self.outcomes]}


def evaluate_with_datastore(
    step: StepDefinition, event: IncomingEvent, inherited_context: StepContext, triggering_action: Action | None
) -> StepOutcome:
    return evaluate_step(step, event, inherited_context, read_datastore)


@lru_cache(maxsize=MAX_CACHED_DEFINITIONS)
def load_definition(version_id: str) -> FlowDefinition:
    """The flow of a version, ready to run. A version never changes, so it is read once a process."""
    return parse_flow(FlowVersion.objects.only("document").get(id=version_id).document)


def match_flows(event: IncomingEvent, candidate_flows: QuerySet[Flow] | None = None) -> list[FlowMatch]:
    """Judge the trigger steps of the flows that listen to the event; found by an index, each flow apart from others."""
    matches = [FlowMatch(name, version_id) for name, version_id in _find_listening_flows(event, candidate_flows)]
    for match in matches:
        try:
            match.outcomes = evaluate_triggers(load_definition(match.version_id), event, evaluate_with_datastore)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            match.mark_failed(error)
    return matches


def _find_listening_flows(event: IncomingEvent, candidate_flows: QuerySet[Flow] | None) -> list[tuple[str, str]]:
    """The flows that listen to the event, by name and version."""
    if candidate_flows is None:
        with connection.cursor() as cursor:
            cursor.execute(_LISTENING_FLOWS_SQL, [event.pack.name, event.name])
            rows: list[tuple[str, str]] = cursor.fetchall()
            return rows
    subscribed = {"subscriptions__pack_name": event.pack.name, "subscriptions__event_name": event.name}
    flows = candidate_flows.filter(enabled=True, **subscribed)
    return list(flows.order_by("id").values_list("name", "version_id"))
