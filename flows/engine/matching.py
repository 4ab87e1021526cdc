"""Matching of an event with flows: the steps to evaluate on it, their inherited context, and the outcomes by flow.

Only `match_flows`, `load_definition` and `read_datastore` read the database. The dry run shares the rest.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import structlog
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from datastore.lookup import find_value
from flows.definition import FlowDefinition, StepDefinition, parse_flow
from flows.engine.step import IncomingEvent, OutcomeKind, StepCandidate, StepContext, StepOutcome, evaluate_step
from flows.models import Flow, FlowVersion
from flows.template import Secret, make_secret, mark_stored_text
from flyte_site.core.secrets.encryption import DecryptionError
from flyte_site.db.large_values import read_head
from flyte_site.db.table_sql import DATABASE_UNAVAILABLE, Query
from packs.models import FINISHED_STATES, Action
from packs.queue import action_secrets
from packs.queue.action_queue import ActionSpec

log = structlog.get_logger(__name__)

MAX_CACHED_DEFINITIONS = 2048

_SUBSCRIBED_FLOWS_SQL = """SELECT flow.name, flow.version_id FROM flows_listener listener
    JOIN flows_flow flow ON flow.id = listener.flow_id
    WHERE listener.pack_name = {pack_name} AND listener.event_name = %s AND flow.enabled ORDER BY flow.id"""
_FLOWS_BY_PACK_SQL = _SUBSCRIBED_FLOWS_SQL.format(pack_name="%s")
_FLOWS_BY_IDENTITY_SQL = _SUBSCRIBED_FLOWS_SQL.format(pack_name="(SELECT name FROM packs_pack WHERE identity = %s)")

SubscribedFlows = list[tuple[str, str]]
"""The name and version of each enabled flow that subscribes to an event, in the order of the flows."""


@dataclass
class FlowMatch:
    """A flow that subscribes to an event: the outcomes of its steps, and the execution that they belong to, if any."""

    flow_name: str
    version_id: str
    outcomes: list[StepOutcome] = field(default_factory=list)
    correlation_id: str = ""

    @property
    def action_specs(self) -> list[ActionSpec]:
        return [outcome.action_spec for outcome in self.outcomes if outcome.action_spec]

    def mark_failed(self, error: Exception) -> None:
        """Record a failure that no step could catch; nothing of this flow was written."""
        log.error("flow_failed", flow=self.flow_name, version=self.version_id, exc_info=error)
        self.correlation_id = ""
        self.outcomes = [StepOutcome("", OutcomeKind.ERROR, message=f"internal server error: {type(error).__name__}")]

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"flow": self.flow_name, "uuid": self.version_id}
        if self.correlation_id:
            data["correlationId"] = self.correlation_id
        return data | {"steps": [outcome.to_json() for outcome in self.outcomes]}


@lru_cache(maxsize=MAX_CACHED_DEFINITIONS)
def load_definition(version_id: str) -> FlowDefinition:
    """Parse the flow of a version. A version never changes, so each process parses it once."""
    return parse_flow(FlowVersion.objects.only("document").get(id=version_id).document, is_stored=True)


def read_datastore(key: str) -> object:
    """Look up a datastore value for templates, wrapped if it is secret. Raise `KeyError` if it does not exist."""
    stored_value = find_value(key)
    value = mark_stored_text(stored_value.value, key, stored_value.content_type)
    return make_secret(value) if stored_value.is_secret else value


def subscribed_flows_query(pack_identity: str, event_name: str) -> Query:
    """Build the query for the flows that subscribe to an event, for a read together with others."""
    return Query(_FLOWS_BY_IDENTITY_SQL, [pack_identity, event_name])


def match_flows(event: IncomingEvent, flows: SubscribedFlows | None = None) -> list[FlowMatch]:
    """Evaluate the trigger steps of the flows that subscribe to the event; a failure affects only its own flow.

    `flows`: those flows, if the caller has read them already.
    """
    subscribed_flows = find_subscribed_flows(event) if flows is None else flows
    matches = [FlowMatch(name, version_id) for name, version_id in subscribed_flows]
    for match in matches:
        try:
            candidates = trigger_candidates(load_definition(match.version_id), event)
            match.outcomes = [evaluate_step(candidate, read_datastore) for candidate in candidates]
        except DATABASE_UNAVAILABLE:
            raise
        except Exception as error:
            match.mark_failed(error)
    return matches


def find_subscribed_flows(event: IncomingEvent, candidate_flows: QuerySet[Flow] | None = None) -> SubscribedFlows:
    """Find the flows that subscribe to the event, by an index; if there are candidates, only among them."""
    if candidate_flows is None:
        with connection.cursor() as cursor:
            cursor.execute(_FLOWS_BY_PACK_SQL, [event.pack.name, event.name])
            rows: SubscribedFlows = cursor.fetchall()
            return rows
    subscribed = {"subscriptions__pack_name": event.pack.name, "subscriptions__event_name": event.name}
    flows = candidate_flows.filter(enabled=True, **subscribed)
    return list(flows.order_by("id").values_list("name", "version_id"))


def trigger_candidates(definition: FlowDefinition, event: IncomingEvent) -> list[StepCandidate]:
    """List the steps that can start an execution on this event."""
    return [
        StepCandidate(step, event)
        for step in definition.triggers
        if _is_listening_for(step, event.pack.name, event.name)
    ]


def dependent_candidates(
    definition: FlowDefinition, actions: list[Action], finished: Action, event: IncomingEvent
) -> Iterator[StepCandidate]:
    """Find the steps that can fire now that an action finished with `event`.

    `actions` are all actions of the execution, the finished one among them.
    """
    step_ids = {action.step_id for action in actions}
    finished_actions = [action for action in actions if action.state in FINISHED_STATES]
    finished_by_step = {action.step_id: action for action in finished_actions}
    for step in definition.steps:
        if step.is_trigger or step.id in step_ids:
            continue
        triggering_action = _find_triggering_action(step, finished_by_step, finished)
        if triggering_action is None:
            continue
        triggering_event = (
            event if triggering_action.id == finished.id else IncomingEvent.from_json(triggering_action.result)
        )
        try:
            inherited_context = _merge_contexts(finished_actions, triggering_action)
        except DecryptionError as error:
            outcome = _report_unreadable_context(step, error)
            yield StepCandidate(step, triggering_event, triggering_action=triggering_action, error=outcome)
        else:
            yield StepCandidate(step, triggering_event, inherited_context, triggering_action)


def _find_triggering_action(
    step: StepDefinition, finished_by_step: Mapping[str, Action], finished: Action
) -> Action | None:
    """Find the action whose result to evaluate the step on; None if the step does not match or still has to wait."""
    if not step.are_dependencies_met(finished_by_step):
        return None
    if step.depends_on_mode == "any":
        return finished if _is_awaited_result(step, finished) else None
    if finished.step_id not in step.depends_on:
        return None
    dependencies = [finished_by_step[step_id] for step_id in step.depends_on if step_id in finished_by_step]
    awaited = [dependency for dependency in dependencies if _is_awaited_result(step, dependency)]
    return max(awaited, key=_finish_order, default=None)


def _is_awaited_result(step: StepDefinition, action: Action) -> bool:
    result = read_head(action, "result")
    return _is_listening_for(step, result["pack"]["name"], result["event"])


def _is_listening_for(step: StepDefinition, pack_name: str, event_name: str) -> bool:
    return bool(step.event.pack_name == pack_name and step.event.name == event_name)


def _finish_order(action: Action) -> tuple[datetime, str]:
    return action.finished_at or timezone.now(), action.id


def _merge_contexts(finished_actions: Iterable[Action], triggering_action: Action) -> StepContext:
    """Merge the contexts of finished actions in the order of finishing; the triggering action's takes precedence.

    Raise `DecryptionError` if a secret of them can't be read.
    """
    merged: dict[str, str | Secret] = {}
    others = [action for action in finished_actions if action.id != triggering_action.id]
    for action in [*sorted(others, key=_finish_order), triggering_action]:
        merged |= action.context if action.secrets is None else _decrypt_context(action)
    return merged


def _decrypt_context(action: Action) -> StepContext:
    texts, sources = action_secrets.decrypt_context(action)
    return {**action.context, **{name: Secret(text, sources) for name, text in texts.items()}}


def _report_unreadable_context(step: StepDefinition, error: DecryptionError) -> StepOutcome:
    message = f"cannot read a secret of the inherited context: {error}"
    return StepOutcome(step.id, OutcomeKind.ERROR, message=message, path=f"{step.path}.context")
