"""Approval: a person approves or rejects. The question lies in the database; `packs.webapi.approvals` decides it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from flyte_site.times import to_text
from packs.models import Approval as Question
from packs.webapi import approvals
from packs.webapi.config import CachingConfig, PluginConfig, RateLimiterConfig
from packs.webapi.durations import parse_duration
from packs.webapi.errors import UserFailure
from packs.webapi.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    PluginEntry,
    PluginSetupContext,
    StatusContext,
    TaskExecutionContextReader,
)
from packs.webapi.phases import Phase, failure, queued, success

LONGEST = timedelta(days=366)
MAX_QUESTION = 10_000
FORM = 'must be a question, or {"question": "…", "details": any JSON, "timeout": "3d"}'


@dataclass(frozen=True)
class Asked:
    """Which question it is."""

    action_id: str
    attempt: int


@dataclass(frozen=True)
class ApprovalConfig(PluginConfig):
    """`timeout`: how long a question waits where its input does not say."""

    timeout: timedelta = timedelta(days=7)


class Approval(AsyncPlugin):
    """Its resource is a row."""

    def __init__(self, setup: PluginSetupContext) -> None:
        self._config: ApprovalConfig = setup.config

    def get_config(self) -> ApprovalConfig:
        return self._config

    def create(self, context: TaskExecutionContextReader) -> tuple[Asked, Question | None]:
        question, details, timeout = read(context.input, self._config.timeout)
        metadata = context.metadata
        approvals.ask(
            action_id=metadata.action_id,
            attempt=metadata.attempt,
            flow_name=metadata.flow_name,
            correlation_id=metadata.correlation_id,
            question=question,
            details=details,
            asked_at=metadata.taken_at,
            ends_at=metadata.taken_at + timeout,
        )
        meta = Asked(metadata.action_id, metadata.attempt)
        return meta, self.get(GetContext(meta))

    def get(self, context: GetContext) -> Question | None:
        meta: Asked = context.resource_meta
        return Question.objects.filter(action_id=meta.action_id, attempt=meta.attempt).first()

    def delete(self, context: DeleteContext) -> None:
        approvals.withdraw(context.resource_meta.action_id, context.resource_meta.attempt)

    def status(self, context: StatusContext) -> Phase:
        asked: Question | None = context.resource
        if asked is None or asked.withdrawn:
            return failure("the question is gone")
        told: dict[str, Any] = {"question": asked.question, "details": asked.details}
        if asked.approved is not None:
            told |= {"by": asked.decided_by, "comment": asked.comment}
            told |= {"decidedAt": to_text(asked.decided_at)} if asked.decided_at else {}
            return success("Approved" if asked.approved else "Rejected", told)
        if asked.ends_at <= timezone.now():
            return success("NotDecided", told | {"until": to_text(asked.ends_at)})
        return queued("waits for a person to decide", look_again_at=asked.ends_at)


def read(given: Any, default: timedelta) -> tuple[str, Any, timedelta]:
    """Question, details and time to decide of an input. Raises `UserFailure`."""
    values = {"question": given} if isinstance(given, str) else given
    if not isinstance(values, dict) or not set(values) <= {"question", "details", "timeout"}:
        raise UserFailure(f"the input {FORM}")
    question, timeout = values.get("question"), default
    if not isinstance(question, str) or not question.strip() or len(question) > MAX_QUESTION or "\x00" in question:
        raise UserFailure(f"the input {FORM}; a question has 1 to {MAX_QUESTION} characters")
    try:
        if values.get("timeout") is not None:
            timeout = parse_duration(str(values["timeout"]))
    except ValueError as error:
        raise UserFailure(f"the input's timeout: {error}") from None
    if timeout > LONGEST:
        raise UserFailure(f"a question may wait {LONGEST.days} days at most")
    return question, values.get("details"), timeout


ENTRY = PluginEntry(
    id="Approval",
    supported_task_types=("Ask",),
    loader=Approval,
    config=ApprovalConfig(
        resource_meta=Asked,
        caching=CachingConfig(workers=0),
        read_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
        write_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
    ),
    events={"Ask": ("Approved", "Rejected", "NotDecided")},
)
