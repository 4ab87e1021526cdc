"""Approvals as the console shows them: open questions, and the history of all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flyte_site.core.secrets.redaction import redact_keys
from flyte_site.db.keyset import Page, fetch_page
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
    return _build_page(fetch_page(service.open_approvals(now), "pk", size, after=after), now)


def list_all_approval_rows(now: datetime, before: int = 0, size: int = PAGE_SIZE) -> ApprovalPage:
    """List all approvals before this key, newest first. One query."""
    return _build_page(fetch_page(Approval.objects.all(), "pk", size, after=before, descending=True), now)


def _build_page(page: Page[Approval], now: datetime) -> ApprovalPage:
    return ApprovalPage([build_approval_row(approval, now) for approval in page.rows], page.next_key or 0)


def build_approval_row(approval: Approval, now: datetime) -> ApprovalRow:
    """Build the row with the current status."""
    return ApprovalRow(approval, service.approval_status(approval, now))
