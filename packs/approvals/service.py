"""Approvals: created by the plugin Approval, decided through the API or the console."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.db.conflicts import retry_conflicts
from packs.models import Action, ActionState, Approval, HostedResource
from packs.queue.action_secrets import redact_action_secrets_by_id

log = structlog.get_logger(__name__)

MAX_DECIDED_BY_LENGTH = 255
MAX_COMMENT_LENGTH = 10_000
ATTEMPT_ENDED_REASON = "the action was cancelled or timed out"


class ApprovalStatus(StrEnum):
    """The status of an approval, as the console shows it."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class ApprovalNotOpenError(Exception):
    """The approval can no longer be decided; the message gives the reason."""


def open_approvals(now: datetime | None = None) -> "QuerySet[Approval]":
    """Return the approvals that can be decided now, by an index. Callers must limit it."""
    return Approval.objects.filter(approved__isnull=True, withdrawn=False, ends_at__gt=now or timezone.now())


def find_approval(action_id: str) -> Approval | None:
    """Find the approval of an action's last attempt."""
    return Approval.objects.filter(action_id=action_id).order_by("-attempt").first()


def create_approval(**values: Any) -> None:
    """Create the approval, once per attempt. Secrets in it are redacted: people who view approvals would see them."""
    key = {name: values.pop(name) for name in ("action_id", "attempt")}
    values |= redact_action_secrets_by_id(key["action_id"], {name: values[name] for name in ("question", "details")})
    Approval.objects.get_or_create(**key, defaults=values)


def withdraw_approval(action_id: str, attempt: int) -> None:
    """Withdraw the approval if it is undecided."""
    Approval.objects.filter(action_id=action_id, attempt=attempt, approved__isnull=True).update(withdrawn=True)


@retry_conflicts
def decide_approval(
    action_id: str, actor: Actor, approved: bool, comment: str = "", decided_by: str = ""
) -> Approval | None:
    """Decide the approval of an action; the flow continues within about a second. The result names `decided_by`, by
    default the actor; the activity log names the actor.

    Of concurrent decisions the first counts. Repeating a decision as the same person changes nothing. Return None if
    the approval is not found; raise `ApprovalNotOpenError` if it was decided differently, withdrawn, or has expired.
    """
    now, decided_by = timezone.now(), (decided_by or actor.name)[:MAX_DECIDED_BY_LENGTH]
    with transaction.atomic():
        approval = find_approval(action_id)
        if approval is None:
            return None
        if approval.approved is None and not is_attempt_pending(approval):
            raise ApprovalNotOpenError(ATTEMPT_ENDED_REASON)
        values = {"approved": approved, "decided_by": decided_by, "comment": comment[:MAX_COMMENT_LENGTH]}
        is_changed = open_approvals(now).filter(pk=approval.pk).update(**values, decided_at=now)
        approval.refresh_from_db()
        if is_changed:
            activity = "approved" if approved else "rejected"
            log_activity(
                actor,
                activity,
                "approval",
                action_id,
                by=decided_by,
                flow=approval.flow_name,
                question=approval.question[:100],
            )
        elif (approval.approved, approval.decided_by) != (approved, decided_by):
            raise ApprovalNotOpenError(closed_reason(approval, now))
        # The hosted pack polls the action's resource as soon as it can.
        HostedResource.objects.filter(action_id=action_id).update(next_call_at=now)
    log.info("approval_decided", action=action_id, approved=approved, changed=bool(is_changed))
    return approval


def is_attempt_pending(approval: Approval) -> bool:
    """Return True if the attempt is still pending: an approval is withdrawn only some seconds after a cancellation."""
    return Action.objects.filter(id=approval.action_id, state=ActionState.PENDING, attempt=approval.attempt).exists()


def approval_status(approval: Approval, now: datetime) -> ApprovalStatus:
    """Return the status of an approval."""
    if approval.approved is not None:
        return ApprovalStatus.APPROVED if approval.approved else ApprovalStatus.REJECTED
    if approval.withdrawn:
        return ApprovalStatus.WITHDRAWN
    return ApprovalStatus.OPEN if approval.ends_at > now else ApprovalStatus.EXPIRED


def closed_reason(approval: Approval, now: datetime) -> str:
    """Return the reason why an approval is not open."""
    if approval.approved is not None:
        return f"already {'approved' if approval.approved else 'rejected'} by {approval.decided_by}"
    return ATTEMPT_ENDED_REASON if approval.withdrawn else "the time to decide has expired"
