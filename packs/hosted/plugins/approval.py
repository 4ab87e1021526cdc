"""Approval: a person approves or rejects. The question is a database row; `packs.approvals.service` decides it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from flyte_site.core.timestamps import format_rfc3339
from flyte_time.durations import parse_duration
from packs.approvals import service
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig, RateLimiterConfig
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    PluginEntry,
    PluginSetupContext,
    StatusContext,
    TaskExecutionContextReader,
)
from packs.hosted.plugin_api.phases import Phase, failure, queued, success
from packs.models import Approval

MAX_TIMEOUT = timedelta(days=366)
MAX_QUESTION_LENGTH = 10_000
INPUT_FORMAT = 'must be a question, or {"question": "…", "details": any JSON, "timeout": "3d"}'


@dataclass(frozen=True)
class ApprovalRef:
    """The identity of an approval."""

    action_id: str
    attempt: int


@dataclass(frozen=True)
class ApprovalConfig(PluginConfig):
    """`timeout`: default time to decide."""

    timeout: timedelta = timedelta(days=7)


class ApprovalPlugin(AsyncPlugin):
    """A plugin whose resource is an `Approval` row."""

    def __init__(self, setup: PluginSetupContext) -> None:
        self._config: ApprovalConfig = setup.config

    def get_config(self) -> ApprovalConfig:
        return self._config

    def create(self, context: TaskExecutionContextReader) -> tuple[ApprovalRef, Approval | None]:
        question, details, timeout = parse_input(context.input, self._config.timeout)
        metadata = context.metadata
        service.create_approval(
            action_id=metadata.action_id,
            attempt=metadata.attempt,
            flow_name=metadata.flow_name,
            correlation_id=metadata.correlation_id,
            question=question,
            details=details,
            asked_at=metadata.taken_at,
            ends_at=metadata.taken_at + timeout,
        )
        meta = ApprovalRef(metadata.action_id, metadata.attempt)
        return meta, self.get(GetContext(meta))

    def get(self, context: GetContext) -> Approval | None:
        meta: ApprovalRef = context.resource_meta
        return Approval.objects.filter(action_id=meta.action_id, attempt=meta.attempt).first()

    def delete(self, context: DeleteContext) -> None:
        service.withdraw_approval(context.resource_meta.action_id, context.resource_meta.attempt)

    def status(self, context: StatusContext) -> Phase:
        approval: Approval | None = context.resource
        if approval is None or approval.withdrawn:
            return failure("the approval was withdrawn or not found")
        payload: dict[str, Any] = {"question": approval.question, "details": approval.details}
        if approval.approved is not None:
            payload |= {"by": approval.decided_by, "comment": approval.comment}
            payload |= {"decidedAt": format_rfc3339(approval.decided_at)} if approval.decided_at else {}
            return success("Approved" if approval.approved else "Rejected", payload)
        if approval.ends_at <= timezone.now():
            return success("NotDecided", payload | {"until": format_rfc3339(approval.ends_at)})
        return queued("waiting for a decision", next_poll_at=approval.ends_at)


def parse_input(value: Any, default: timedelta) -> tuple[str, Any, timedelta]:
    """Parse an input into question, details and time to decide. Raise `UserFailure`."""
    values = {"question": value} if isinstance(value, str) else value
    if not isinstance(values, dict) or not set(values) <= {"question", "details", "timeout"}:
        raise UserFailure(f"invalid input: {INPUT_FORMAT}")
    question, timeout = values.get("question"), default
    if (
        not isinstance(question, str)
        or not question.strip()
        or len(question) > MAX_QUESTION_LENGTH
        or "\x00" in question
    ):
        raise UserFailure(
            f"invalid input: {INPUT_FORMAT}; the question must have 1 to {MAX_QUESTION_LENGTH} characters"
        )
    try:
        if values.get("timeout") is not None:
            timeout = parse_duration(values["timeout"])
    except ValueError as error:
        raise UserFailure(f"invalid timeout in the input: {error}") from None
    if timeout > MAX_TIMEOUT:
        raise UserFailure(f"timeout exceeds the limit of {MAX_TIMEOUT.days} days")
    return question, values.get("details"), timeout


ENTRY = PluginEntry(
    id="Approval",
    supported_task_types=("Ask",),
    loader=ApprovalPlugin,
    config=ApprovalConfig(
        resource_meta=ApprovalRef,
        caching=CachingConfig(workers=0),
        read_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
        write_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
    ),
    events={"Ask": ("Approved", "Rejected", "NotDecided")},
)
