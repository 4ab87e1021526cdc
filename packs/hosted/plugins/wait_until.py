"""WaitUntil: a timer for flows. It makes no calls."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from flyte_site.core.timestamps import format_rfc3339, parse_rfc3339
from flyte_time.durations import parse_duration
from flyte_time.times import parse_time
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig, RateLimiterConfig
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    PluginEntry,
    PluginSetupContext,
    StatusContext,
    TaskExecutionContextReader,
)
from packs.hosted.plugin_api.phases import Phase, queued, success

MAX_WAIT = timedelta(days=366)
INPUT_FORMAT = 'must be {"until": "2026-11-21T05:30:00Z"} or {"for": "1h30m"}'


@dataclass(frozen=True)
class WaitPeriod:
    """A period with times as RFC 3339."""

    since: str
    until: str


class WaitUntilPlugin(AsyncPlugin):
    """A plugin whose resource is a time; `get` returns the current time."""

    def __init__(self, setup: PluginSetupContext) -> None:
        self._config: PluginConfig = setup.config

    def get_config(self) -> PluginConfig:
        return self._config

    def create(self, context: TaskExecutionContextReader) -> tuple[WaitPeriod, datetime]:
        since = context.metadata.taken_at
        until = parse_end_time(context.input, since)
        if until - since > MAX_WAIT:
            raise UserFailure(f"wait exceeds the limit of {MAX_WAIT.days} days")
        return WaitPeriod(format_rfc3339(since), format_rfc3339(until)), timezone.now()

    def get(self, context: GetContext) -> datetime:
        return timezone.now()

    def delete(self, context: DeleteContext) -> None:
        """Do nothing: a timer has no remote resource."""

    def status(self, context: StatusContext) -> Phase:
        period: WaitPeriod = context.resource_meta
        until = parse_rfc3339(period.until)
        if context.resource >= until:
            return success("TimeReached", {"since": period.since, "until": period.until})
        return queued(f"waiting until {period.until}", next_poll_at=until)


def parse_end_time(value: Any, since: datetime) -> datetime:
    """Parse the end time of an input. Raise `UserFailure`."""
    try:
        match value:
            case {"until": until, **rest} if not rest:
                return parse_time(until).astimezone(UTC)
            case {"for": duration, **rest} if not rest:
                return since.astimezone(UTC) + parse_duration(duration)
    except ValueError as error:
        raise UserFailure(f"invalid input: {INPUT_FORMAT}: {error}") from None
    raise UserFailure(f"invalid input: {INPUT_FORMAT}")


ENTRY = PluginEntry(
    id="WaitUntil",
    supported_task_types=("Wait",),
    loader=WaitUntilPlugin,
    config=PluginConfig(
        resource_meta=WaitPeriod,
        caching=CachingConfig(workers=0),
        read_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
        write_rate_limiter=RateLimiterConfig(qps=1000, burst=10_000),
    ),
    events={"Wait": ("TimeReached",)},
)
