"""WaitUntil: a timer that a flow can wait on. It calls nobody."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from flyte_site.times import from_text, to_text
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
from packs.webapi.phases import Phase, queued, success

LONGEST = timedelta(days=366)
FORM = 'must be {"until": "2026-11-21T05:30:00Z"} or {"for": "1h30m"}'


@dataclass(frozen=True)
class Waiting:
    """Times as RFC 3339."""

    since: str
    until: str


class WaitUntil(AsyncPlugin):
    """Its resource is a time; `get` looks at the clock."""

    def __init__(self, setup: PluginSetupContext) -> None:
        self._config: PluginConfig = setup.config

    def get_config(self) -> PluginConfig:
        return self._config

    def create(self, context: TaskExecutionContextReader) -> tuple[Waiting, datetime]:
        since = context.metadata.taken_at
        until = end_of(context.input, since)
        if until - since > LONGEST:
            raise UserFailure(f"a wait may last {LONGEST.days} days at most")
        return Waiting(to_text(since), to_text(until)), timezone.now()

    def get(self, context: GetContext) -> datetime:
        return timezone.now()

    def delete(self, context: DeleteContext) -> None:
        """Nothing is anywhere."""

    def status(self, context: StatusContext) -> Phase:
        wait: Waiting = context.resource_meta
        until = from_text(wait.until)
        if context.resource >= until:
            return success("TimeReached", {"since": wait.since, "until": wait.until})
        return queued(f"waits until {wait.until}", look_again_at=until)


def end_of(given: Any, since: datetime) -> datetime:
    """The time that an input names. Raises `UserFailure`."""
    try:
        match given:
            case {"until": str(text), **rest} if not rest:
                return from_text(text.strip())
            case {"for": str() | int() as length, **rest} if not rest:
                return since.astimezone(UTC) + parse_duration(str(length))
    except ValueError as error:
        raise UserFailure(f"the input {FORM}: {error}") from None
    raise UserFailure(f"the input {FORM}")


ENTRY = PluginEntry(
    id="WaitUntil",
    supported_task_types=("Wait",),
    loader=WaitUntil,
    config=PluginConfig(
        resource_meta=Waiting,
        caching=CachingConfig(workers=0),
        read_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
        write_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
    ),
    events={"Wait": ("TimeReached",)},
)
