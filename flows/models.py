"""Models of flows, their versions, events and executions."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from flyte_site.core.ids import new_id
from flyte_site.db.fields import TextJSONField
from flyte_site.db.large_values import LargeJSONField, LargeValuesModel

MAX_NOTE_LENGTH = 500


class FlowVersion(models.Model):
    """A saved version of a flow. Immutable, and kept after the flow is deleted: executions stay on their version."""

    id = models.CharField(primary_key=True, max_length=24, default=new_id, editable=False)
    flow_name = models.CharField(max_length=255)
    document = TextJSONField()
    source = models.TextField(blank=True, default="")
    media_type = models.CharField(max_length=40, blank=True, default="")
    saved_by = models.CharField(max_length=255, blank=True, default="")
    note = models.CharField(max_length=MAX_NOTE_LENGTH, blank=True, default="")
    saved_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["flow_name", "id"], name="versions_of_flow")]

    def __str__(self) -> str:
        return f"{self.flow_name} {self.id}"


class Flow(models.Model):
    """The current version under a name. Its identity is the name."""

    name = models.CharField(max_length=255, unique=True)
    description = models.TextField(blank=True, default="")
    labels = TextJSONField(default=dict)
    enabled = models.BooleanField(default=True)
    version = models.OneToOneField(FlowVersion, on_delete=models.PROTECT, related_name="flow")

    class Meta:
        permissions: ClassVar = [("enable_flow", "Can enable and disable flows")]
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.name


class EventSubscription(models.Model):
    """A trigger event of a flow; an index to find the flows of an event without reading all flows."""

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="subscriptions")
    pack_name = models.CharField(max_length=255)
    event_name = models.CharField(max_length=255)

    class Meta:
        db_table = "flows_listener"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pack_name", "event_name", "flow"], name="one_listener_an_event")
        ]
        indexes: ClassVar = [models.Index(fields=["event_name"], name="listeners_by_event")]

    def __str__(self) -> str:
        return f"{self.flow} on {self.pack_name}.{self.event_name}"


class Event(LargeValuesModel):
    """An event with its outcome in each matching flow. The last few per pack and name are kept.

    `heard` is false if no flow matched. `payload_bytes` is the size of a payload that was too large to be stored, else
    0.
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_id, editable=False)
    name = models.CharField(max_length=255)
    pack_identity = models.CharField(max_length=512)
    pack_name = models.CharField(max_length=255)
    pack_labels = TextJSONField(default=dict)
    payload: Any = LargeJSONField(null=True, owner_kind="event", owner="id")
    payload_bytes = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    received_at = models.DateTimeField()
    correlation_id = models.CharField(max_length=24, blank=True, default="")
    heard = models.BooleanField(default=True)
    outcomes: Any = TextJSONField(default=list)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["pack_identity", "name", "id"], name="events_of_pack"),
            models.Index(fields=["pack_name", "name", "id"], name="events_by_name"),
            models.Index(fields=["id"], condition=Q(heard=False), name="unheard_events"),
        ]

    def __str__(self) -> str:
        return f"{self.pack_name}.{self.name} {self.id}"

    @property
    def sender(self) -> dict[str, Any]:
        """The pack that sent the event, as in the audit's API."""
        sender: dict[str, Any] = {"id": self.pack_identity, "name": self.pack_name}
        return sender | ({"labels": self.pack_labels} if self.pack_labels else {})


class ExecutionState(models.TextChoices):
    """The state of an execution."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Execution(models.Model):
    """One run of a flow; its id is the correlation id of all its actions.

    Changes of an execution or its actions lock this row first, so that of two concurrent results one always sees the
    effects of the other.
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_id, editable=False)
    flow_name = models.CharField(max_length=255)
    version = models.ForeignKey(FlowVersion, on_delete=models.PROTECT, related_name="executions")
    event_id = models.CharField(max_length=24)
    state = models.CharField(max_length=9, choices=ExecutionState, default=ExecutionState.RUNNING)
    errors: Any = TextJSONField(default=list)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(default=timezone.now, db_index=True)
    replay_of = models.CharField(max_length=24, blank=True, default="")
    latest_action_id = models.CharField(max_length=24)

    class Meta:
        permissions: ClassVar = [("control_execution", "Can cancel, retry and replay executions")]
        ordering: ClassVar = ["-latest_action_id"]
        indexes: ClassVar = [
            models.Index(fields=["latest_action_id"], name="executions_by_activity"),
            models.Index(fields=["flow_name", "latest_action_id"], name="executions_of_flow"),
            models.Index(fields=["state", "latest_action_id"], name="executions_by_state"),
            models.Index(fields=["replay_of", "id"], name="replays_of_execution"),
            # Covers the counts of the last day, without reading the rows.
            models.Index(
                fields=["ended_at", "state"], condition=Q(ended_at__isnull=False), name="executions_that_ended"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flow_name} {self.id}"


class ReceivedKey(models.Model):
    """The `Idempotency-Key` of an accepted event, so that the event is handled once."""

    pack_identity = models.CharField(max_length=512)
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pack_identity", "key"], name="one_event_a_key"),
        ]

    def __str__(self) -> str:
        return f"{self.pack_identity} {self.key}"
