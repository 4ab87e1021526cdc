"""Approvals as the console shows them: open questions, and the history of all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flyte_site.core.redaction import redact_keys
from packs.approvals import service
from packs.models import Approval

PAGE_SIZE = 50
SHOW_OPEN, SHOW_ALL = "open", "all"


@dataclass(frozen=True)
class ApprovalRow:
    """An approval with its current status; `details` have their secrets redacted."""

    approval: Approval
    status: service.ApprovalStatus

    @property
    def is_open(self) -> bool:
        return self.status is service.ApprovalStatus.OPEN

    @property
    def details(self) -> Any:
        return redact_keys(self.approval.details)

    @property
    def dialog_id(self) -> str:
        """Return the id of the decision dialog."""
        return f"decide-{self.approval.action_id}"


@dataclass(frozen=True)
class ApprovalPage:
    """A page of approvals, and the key after which the next page starts; 0 for the last page."""

    rows: list[ApprovalRow]
    next_key: int


def list_open_approval_rows(now: datetime, after: int = 0, size: int = PAGE_SIZE) -> ApprovalPage:
    """List the open approvals after this key, oldest first. One query."""
    rows = service.open_approvals(now).filter(pk__gt=after).order_by("pk")[: size + 1]
    return _build_page(list(rows), now, size)


def list_all_approval_rows(now: datetime, before: int = 0, size: int = PAGE_SIZE) -> ApprovalPage:
    """List all approvals before this key, newest first. One query."""
    rows = Approval.objects.order_by("-pk")
    return _build_page(list((rows.filter(pk__lt=before) if before else rows)[: size + 1]), now, size)


def _build_page(approvals_read: list[Approval], now: datetime, size: int) -> ApprovalPage:
    rows = [build_approval_row(approval, now) for approval in approvals_read[:size]]
    return ApprovalPage(rows, rows[-1].approval.pk if len(approvals_read) > size else 0)


def build_approval_row(approval: Approval, now: datetime) -> ApprovalRow:
    """Build the row with the current status."""
    return ApprovalRow(approval, service.approval_status(approval, now))
