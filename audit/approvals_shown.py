"""Questions to people as pages show them: those that are open, and the history of all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flyte_site.masking import masked
from packs.models import Approval
from packs.webapi import approvals

PAGE = 50
OPEN, ALL = "open", "all"


@dataclass(frozen=True)
class Question:
    """A question. `standing` is `open` while it can be decided; `details` have their secrets masked."""

    asked: Approval
    standing: str

    @property
    def open(self) -> bool:
        return self.standing == OPEN

    @property
    def details(self) -> Any:
        return masked(self.asked.details)

    @property
    def dialog(self) -> str:
        """The id of what asks for a decision."""
        return f"decide-{self.asked.action_id}"


@dataclass(frozen=True)
class Questions:
    """A page of questions, and where the page behind it begins; 0 where there is none."""

    rows: list[Question]
    after: int


def waiting(now: datetime, after: int = 0, most: int = PAGE) -> Questions:
    """What can be decided now, oldest first, behind this key. One query."""
    rows = approvals.open_approvals(now).filter(pk__gt=after).order_by("pk")[: most + 1]
    return _page(list(rows), now, most)


def history(now: datetime, before: int = 0, most: int = PAGE) -> Questions:
    """All that was asked, open or not, newest first, before this key. One query."""
    rows = Approval.objects.order_by("-pk")
    return _page(list((rows.filter(pk__lt=before) if before else rows)[: most + 1]), now, most)


def _page(found: list[Approval], now: datetime, most: int) -> Questions:
    shown = [question_of(one, now) for one in found[:most]]
    return Questions(shown, shown[-1].asked.pk if len(found) > most else 0)


def question_of(asked: Approval, now: datetime) -> Question:
    """The question as it stands now."""
    return Question(asked, approvals.standing(asked, now))


def number_in(query: Mapping[str, str], name: str) -> int:
    """A key in an address; 0 for what is none."""
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
