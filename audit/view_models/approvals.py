"""Questions to people as pages show them: those that are open, and the history of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flyte_site.core.redaction.keys import redact_keys
from packs.approvals import service
from packs.models import Approval

PAGE_SIZE = 50
SHOW_OPEN, SHOW_ALL = "open", "all"


@dataclass(frozen=True)
class ApprovalRow:
    """A question. `standing` is `open` while it can be decided; `details` have their secrets masked."""

    approval: Approval
    status: str

    @property
    def is_open(self) -> bool:
        return self.status == SHOW_OPEN

    @property
    def details(self) -> Any:
        return redact_keys(self.approval.details)

    @property
    def dialog_id(self) -> str:
        """The id of what asks for a decision."""
        return f"decide-{self.approval.action_id}"


@dataclass(frozen=True)
class ApprovalPage:
    """A page of questions, and where the page behind it begins; 0 where there is none."""

    rows: list[ApprovalRow]
    next_key: int


def list_open_approval_rows(now: datetime, after: int = 0, size: int = PAGE_SIZE) -> ApprovalPage:
    """What can be decided now, oldest first, behind this key. One query."""
    rows = service.open_approvals(now).filter(pk__gt=after).order_by("pk")[: size + 1]
    return _build_page(list(rows), now, size)


def list_all_approval_rows(now: datetime, before: int = 0, size: int = PAGE_SIZE) -> ApprovalPage:
    """All that was asked, open or not, newest first, before this key. One query."""
    rows = Approval.objects.order_by("-pk")
    return _build_page(list((rows.filter(pk__lt=before) if before else rows)[: size + 1]), now, size)


def _build_page(approvals_read: list[Approval], now: datetime, size: int) -> ApprovalPage:
    rows = [build_approval_row(approval, now) for approval in approvals_read[:size]]
    return ApprovalPage(rows, rows[-1].approval.pk if len(approvals_read) > size else 0)


def build_approval_row(approval: Approval, now: datetime) -> ApprovalRow:
    """The question as it stands now."""
    return ApprovalRow(approval, service.approval_status(approval, now))


def parse_key(query: Mapping[str, str], name: str) -> int:
    """A key in an address; 0 for what is none."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
