"""Questions that wait for a person: asked by the plugin Approval, decided by the API and the console."""

from datetime import datetime
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from flyte_site.changes import Actor, record
from packs.models import Action, Approval, State
from packs.sealed import without_echo_of
from packs.webapi import resources

log = structlog.get_logger(__name__)

MAX_WHO = 255
MAX_COMMENT = 10_000
OVER = "its action was cancelled or timed out"


class NotOpenError(Exception):
    """The question can't be decided any more; the message says why."""


def open_approvals(now: datetime | None = None) -> "QuerySet[Approval]":
    """Questions that can be decided now, by an index. Callers bound it."""
    return Approval.objects.filter(approved__isnull=True, withdrawn=False, ends_at__gt=now or timezone.now())


def find(action_id: str) -> Approval | None:
    """The question of an action's last attempt."""
    return Approval.objects.filter(action_id=action_id).order_by("-attempt").first()


def ask(**values: Any) -> None:
    """Ask, once an attempt. Secrets in what is asked are masked: whoever may look at questions would see them."""
    key = {name: values.pop(name) for name in ("action_id", "attempt")}
    values |= without_echo_of(key["action_id"], {name: values[name] for name in ("question", "details")})
    Approval.objects.get_or_create(**key, defaults=values)


def withdraw(action_id: str, attempt: int) -> None:
    """Nobody need decide any more."""
    Approval.objects.filter(action_id=action_id, attempt=attempt, approved__isnull=True).update(withdrawn=True)


def decide(action_id: str, actor: Actor, approved: bool, comment: str = "", who: str = "") -> Approval | None:
    """Decide the question of an action; the flow goes on within about a second. `who` stands in the result, if it is
    not the actor's name; the actor in the history of changes.

    Of several that decide at once the first counts. The same decision by the same person again changes nothing. None
    where there is no such question; raises `NotOpenError` where it was decided otherwise, withdrawn, or too late.
    """
    now, who = timezone.now(), (who or actor.name)[:MAX_WHO]
    with transaction.atomic():
        asked = find(action_id)
        if asked is None:
            return None
        if asked.approved is None and not is_waited_for(asked):
            raise NotOpenError(OVER)
        values = {"approved": approved, "decided_by": who, "comment": comment[:MAX_COMMENT]}
        changed = open_approvals(now).filter(pk=asked.pk).update(**values, decided_at=now)
        asked.refresh_from_db()
        if changed:
            what = "approved" if approved else "rejected"
            record(actor, what, "approval", action_id, by=who, flow=asked.flow_name, question=asked.question[:100])
        elif (asked.approved, asked.decided_by) != (approved, who):
            raise NotOpenError(why_closed(asked, now))
        resources.wake(action_id, now)
    log.info("approval_decided", action=action_id, approved=approved, changed=bool(changed))
    return asked


def is_waited_for(asked: Approval) -> bool:
    """Whether the attempt that asks is still under way: a question is withdrawn some seconds after a cancellation."""
    return Action.objects.filter(id=asked.action_id, state=State.PENDING, attempt=asked.attempt).exists()


def standing(asked: Approval, now: datetime) -> str:
    """How a question stands: `open`, `approved`, `rejected`, `withdrawn` or `not decided`."""
    if asked.approved is not None:
        return "approved" if asked.approved else "rejected"
    return "withdrawn" if asked.withdrawn else "open" if asked.ends_at > now else "not decided"


def why_closed(asked: Approval, now: datetime) -> str:
    """Why a question is not open."""
    if asked.approved is not None:
        return f"it was {'approved' if asked.approved else 'rejected'} by {asked.decided_by} already"
    return OVER if asked.withdrawn else "the time for it is over"
