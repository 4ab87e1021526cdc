"""How a resource stands, in words that flows understand."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

FATAL = "FATAL"


class PhaseKind(StrEnum):
    """The first three go on, the last two end the action."""

    QUEUED = "queued"
    INITIALIZING = "initializing"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True)
class Phase:
    """What `status` and `do` give.

    `event` and `payload` of a phase that ends the action are its result. Of one that goes on they are a progress event,
    sent once for each `version`. `reason` is for people. `look_again_at`: when to ask next, if not at the resync
    interval.
    """

    kind: PhaseKind
    reason: str = ""
    event: str = ""
    payload: Any = None
    version: int = 0
    next_poll_at: datetime | None = None

    @property
    def is_final(self) -> bool:
        return self.kind in (PhaseKind.SUCCESS, PhaseKind.FAILURE)


def queued(reason: str = "", *, next_poll_at: datetime | None = None) -> Phase:
    """The service has it, and has not begun."""
    return Phase(PhaseKind.QUEUED, reason, next_poll_at=next_poll_at)


def running(
    reason: str = "",
    *,
    version: int = 0,
    event: str = "",
    payload: Any = None,
    next_poll_at: datetime | None = None,
) -> Phase:
    """It is under way; with `event`, flows are told so, once a version."""
    return Phase(PhaseKind.RUNNING, reason, event, payload, version, next_poll_at)


def success(event: str, payload: Any = None) -> Phase:
    """It is done; `event` is the action's result."""
    return Phase(PhaseKind.SUCCESS, event=event, payload=payload)


def failure(reason: str, *, event: str = FATAL, payload: Any = None) -> Phase:
    """It failed. `FATAL` may be tried again where the step has retries; an event of another name ends the action."""
    return Phase(PhaseKind.FAILURE, reason, event, {"message": reason} if payload is None else payload)
