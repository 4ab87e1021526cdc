"""Packs and their actions, the resources of hosted packs, and approvals."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from flyte_site.core.ids import new_id
from flyte_site.core.observability.request_ids import MAX_REQUEST_ID_LENGTH
from flyte_site.core.observability.tracing import MAX_TRACEPARENT_LENGTH
from flyte_site.db.fields import TextJSONField
from flyte_site.db.large_values import LargeJSONField, LargeValuesModel

LIVE_SECONDS = 10 * 60
WARNING_SECONDS = 24 * 60 * 60
STATUSES = ("live", "warning", "critical")

Labels = Mapping[str, str]


def build_pack_id(name: str, labels: Labels) -> str:
    """Build a pack's id from its name and its labels, sorted by key, e.g. `Slack.az.b.env.prod`."""
    return ".".join([name, *(part for key in sorted(labels) for part in (key, labels[key]))])


def build_labels_key(labels: Labels) -> str:
    """Serialize labels so that equal labels have the same text, e.g. `{"az":"b","env":"prod"}`."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"))


def status_filter(status: str, now: datetime) -> Q:
    """Return a filter for packs with this status, one of STATUSES."""
    live_since, warning_since = now - timedelta(seconds=LIVE_SECONDS), now - timedelta(seconds=WARNING_SECONDS)
    if status == "live":
        return Q(last_seen__gte=live_since)
    return (
        Q(last_seen__lt=live_since, last_seen__gte=warning_since)
        if status == "warning"
        else Q(last_seen__lt=warning_since)
    )


class Pack(models.Model):
    """A registered pack: its name, its commands and its events. A `hosted` pack runs in the server's workers."""

    identity = models.CharField(max_length=512, unique=True)
    name = models.CharField(max_length=255, db_index=True)
    labels = TextJSONField(default=dict)
    commands = TextJSONField(default=list)
    events = TextJSONField(default=list)
    links = TextJSONField(default=list)
    registered_at = models.DateTimeField(auto_now_add=True)
    last_seen = models.DateTimeField(db_index=True)
    hosted = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.identity

    @property
    def status(self) -> str:
        """Return `live` if seen in the last 10 minutes, `warning` within 24 hours, otherwise `critical`."""
        silent_seconds = (timezone.now() - self.last_seen).total_seconds()
        if silent_seconds <= LIVE_SECONDS:
            return "live"
        return "warning" if silent_seconds <= WARNING_SECONDS else "critical"

    def has_labels(self, required: Labels) -> bool:
        """Return True if this pack has all of these labels; it may have more."""
        return bool(required.items() <= self.labels.items())

    def can_take(self, action: "Action") -> bool:
        """Return True if the action is for a pack of this name, and this pack has all labels that it requires."""
        return self.name == action.pack_name and self.has_labels(action.pack_labels)


class ActionState(models.TextChoices):
    """The state of an action. The values are the original's."""

    NEW = "NEW"
    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FATAL = "FATAL"
    CANCELLED = "CANCELLED"


FINISHED_STATES = (ActionState.SUCCESS, ActionState.FATAL)
# The large values of an action are deleted with its execution.
OWNER: dict[str, str] = {"owner_kind": "execution", "owner": "correlation_id"}


class Action(LargeValuesModel):
    """One command for a pack. References flows only by plain values.

    `secrets`: the encrypted texts of input and context that only the taker can see; a mask replaces them there.
    `timeout` and `backoff`: in seconds. `attempt`: the number of takes. `taken_at`: the time of the last take; null for
    actions that finished before the column existed. `state_log`: each state with its time. `attempt_log`: the outcome
    of each attempt that did not finish the action, and late results. `request_id` and `traceparent`: from the request
    that caused the action.
    """

    id = models.CharField(primary_key=True, max_length=24, default=new_id, editable=False)
    correlation_id = models.CharField(max_length=24)
    flow_name = models.CharField(max_length=255)
    flow_uuid = models.CharField(max_length=24)
    step_id = models.CharField(max_length=255)

    pack_name = models.CharField(max_length=255)
    pack_labels = TextJSONField(default=dict)
    labels_key = models.CharField(max_length=2000)
    name = models.CharField(max_length=255)
    input = LargeJSONField(null=True, **OWNER)
    context = LargeJSONField(default=dict, **OWNER)
    secrets = models.BinaryField(null=True)
    trigger = LargeJSONField(**OWNER)
    triggered_by = models.CharField(max_length=24, blank=True, default="")

    timeout = models.PositiveIntegerField(null=True)
    retries = models.PositiveSmallIntegerField(default=0)
    backoff = models.FloatField(default=0)

    state = models.CharField(max_length=9, choices=ActionState, default=ActionState.NEW)
    is_queued = models.BooleanField(default=True)
    ready_at = models.DateTimeField(default=timezone.now)
    attempt = models.PositiveSmallIntegerField(default=0)
    taken_at = models.DateTimeField(null=True)
    lease_ends_at = models.DateTimeField(null=True)
    attempt_log: Any = LargeJSONField(default=list, **OWNER)
    state_log: Any = TextJSONField(default=list)
    claimed_by = models.CharField(max_length=512, blank=True, default="")
    result = LargeJSONField(null=True, **OWNER)
    request_id = models.CharField(max_length=MAX_REQUEST_ID_LENGTH, blank=True, default="")
    traceparent = models.CharField(max_length=MAX_TRACEPARENT_LENGTH, blank=True, default="")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["correlation_id", "step_id"], name="one_action_a_step"),
            models.CheckConstraint(
                condition=Q(is_queued=True, state=ActionState.NEW) | (Q(is_queued=False) & ~Q(state=ActionState.NEW)),
                # Named before the column was renamed; on SQLite a new name would rebuild the table.
                name="waiting_means_new",
            ),
        ]
        indexes: ClassVar = [
            # Queued actions only, so that the index stays small. Its condition is a boolean column, because SQLite uses
            # a partial index only for queries that repeat its condition literally.
            models.Index(
                fields=["pack_name", "labels_key", "ready_at", "id"], condition=Q(is_queued=True), name="queued_actions"
            ),
            models.Index(fields=["lease_ends_at"], condition=Q(lease_ends_at__isnull=False), name="leased_actions"),
            models.Index(fields=["id"], condition=Q(secrets__isnull=False), name="actions_with_secrets"),
            models.Index(fields=["pack_name", "id"], name="actions_by_pack"),
            models.Index(fields=["name", "id"], name="actions_by_command"),
            models.Index(fields=["step_id", "id"], name="actions_by_step"),
            # Most actions require no labels, and are not in this index.
            models.Index(fields=["labels_key", "id"], condition=~Q(labels_key="{}"), name="actions_by_labels"),
        ]

    def __str__(self) -> str:
        return f"{self.pack_name}.{self.name} {self.id}"

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED_STATES

    @property
    def latest_state(self) -> dict[str, str]:
        latest: dict[str, str] = self.state_log[-1]
        return latest


class LargeValue(models.Model):
    """A large part of JSON documents of actions and events, stored once. See `flyte_site.db.large_values`.

    `day`: the day since 1970 on which it was written; it gets new uses only on that day. `size`: the bytes of its JSON.
    `data`: its JSON, compressed with zlib.
    """

    id = models.CharField(primary_key=True, max_length=80)
    day = models.PositiveIntegerField()
    size = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions: ClassVar = []

    def __str__(self) -> str:
        return self.id


class LargeValueUse(models.Model):
    """A use of a large value by an execution or an event; `released` once that is deleted."""

    value_id = models.CharField(max_length=80)
    owner_kind = models.CharField(max_length=9)
    owner_id = models.CharField(max_length=24)
    released = models.BooleanField(default=False)

    class Meta:
        default_permissions: ClassVar = []
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner_id", "value_id"], name="one_use_an_owner"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["value_id"], name="uses_of_large_value"),
            models.Index(fields=["id"], condition=Q(released=True), name="released_large_values"),
            models.Index(
                fields=["owner_id"], condition=Q(owner_kind="event", released=False), name="large_values_of_events"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner_kind} {self.owner_id} {self.value_id}"


class HostedState(models.TextChoices):
    """The state of a resource: waiting for its namespace's quota; ready to be created, or created without a response
    yet; live; to be deleted.
    """

    WAITING = "waiting"
    READY = "ready"
    LIVE = "live"
    DELETING = "deleting"


QUOTA_STATES = (HostedState.READY, HostedState.LIVE, HostedState.DELETING)
"""The states that count against a quota."""


class HostedResource(models.Model):
    """The resource of a hosted pack at its service, for one attempt at an action. Deleted when no work is left.

    A worker that makes a call for it sets `claimed_until` and increments `claim_number`: writes of an older claim are
    rejected. `create_called`: the resource may exist although `meta` is null. `encrypted_meta`: the meta, if the server
    has encryption keys (it may contain a secret); `meta` is null then. `per_flow`, `per_execution`: the plugin's limits
    for the action's flow and execution.
    """

    action_id = models.CharField(max_length=24)
    attempt = models.PositiveSmallIntegerField()
    plugin = models.CharField(max_length=255)
    pack_identity = models.CharField(max_length=512)
    flow_name = models.CharField(max_length=255)
    correlation_id = models.CharField(max_length=24)

    namespace = models.CharField(max_length=255)
    per_flow = models.PositiveIntegerField(null=True)
    per_execution = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=8, choices=HostedState, default=HostedState.WAITING)
    create_called = models.BooleanField(default=False)
    meta: Any = TextJSONField(null=True)
    encrypted_meta = models.BinaryField(null=True)
    phase = models.CharField(max_length=20, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    version = models.IntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    delete_reason = models.TextField(blank=True, default="")

    taken_at = models.DateTimeField()
    next_call_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    claim_number = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["action_id", "attempt"], name="one_resource_an_attempt"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["plugin", "state", "next_call_at"], name="hosted_due"),
            models.Index(fields=["plugin", "namespace", "state"], name="hosted_by_namespace"),
        ]

    def __str__(self) -> str:
        return f"{self.plugin} {self.token}"

    @property
    def token(self) -> str:
        """Return the idempotency token: it identifies this attempt, and is the same for all workers."""
        return f"{self.action_id}-{self.attempt}"


class HostedNamespace(models.Model):
    """A row to lock while a worker counts the resources of a namespace and admits more."""

    plugin = models.CharField(max_length=255)
    namespace = models.CharField(max_length=255)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["plugin", "namespace"], name="one_row_a_namespace"),
        ]

    def __str__(self) -> str:
        return f"{self.plugin} {self.namespace}"


class HostedCount(models.Model):
    """A counter of a plugin, summed over all processes and restarts."""

    plugin = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    value = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["plugin", "name"], name="one_count_a_name")]

    def __str__(self) -> str:
        return f"{self.plugin} {self.name}"


class Approval(models.Model):
    """A question to a person. `approved` is null until it is decided."""

    action_id = models.CharField(max_length=24)
    attempt = models.PositiveSmallIntegerField()
    flow_name = models.CharField(max_length=255)
    correlation_id = models.CharField(max_length=24)
    question = models.TextField()
    details: Any = TextJSONField(null=True)
    asked_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    withdrawn = models.BooleanField(default=False)
    approved = models.BooleanField(null=True)
    decided_by = models.CharField(max_length=255, blank=True, default="")
    comment = models.TextField(blank=True, default="")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["id"]
        permissions: ClassVar = [("decide_approval", "Can approve and reject")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["action_id", "attempt"], name="one_approval_an_attempt"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["ends_at"], condition=Q(approved__isnull=True, withdrawn=False), name="open_approvals"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action_id} {self.question[:40]}"

    @property
    def decision(self) -> "Approval | None":
        """The approval itself if it is decided, else None."""
        return self if self.decided_at else None
