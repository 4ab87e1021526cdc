"""The status of a resource, in terms that flows understand."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

FATAL = "FATAL"


class PhaseKind(StrEnum):
    """The kind of a phase. The first three are intermediate, the last two end the action."""

    QUEUED = "queued"
    INITIALIZING = "initializing"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True)
class Phase:
    """The result of `status` and `do`.

    `event` and `payload` of a final phase are the action's result; of an intermediate phase they are a progress event,
    sent once per `version`. `reason` is for people. `next_poll_at`: time of the next poll, by default after the resync
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
    """Return a phase: the service has accepted the resource but not started it."""
    return Phase(PhaseKind.QUEUED, reason, next_poll_at=next_poll_at)


def running(
    reason: str = "",
    *,
    version: int = 0,
    event: str = "",
    payload: Any = None,
    next_poll_at: datetime | None = None,
) -> Phase:
    """Return a phase: the resource is running. With `event`, flows receive it as a progress event, once per version."""
    return Phase(PhaseKind.RUNNING, reason, event, payload, version, next_poll_at)


def success(event: str, payload: Any = None) -> Phase:
    """Return a phase: the resource has finished; `event` is the action's result."""
    return Phase(PhaseKind.SUCCESS, event=event, payload=payload)


def failure(reason: str, *, event: str = FATAL, payload: Any = None) -> Phase:
    """Return a phase: the resource failed. `FATAL` is retried if the step has retries; any other event ends
    the action.
    """
    return Phase(PhaseKind.FAILURE, reason, event, {"message": reason} if payload is None else payload)
