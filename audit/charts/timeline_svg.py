"""The timeline of an execution's actions as bars, drawn by the server. The durations appear next to them as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.timeline import STATUSES, ActionInterval, IntervalKind, build_intervals, get_status, total_run_time
from flows.diagram.text import escape_xml
from flyte_site.core.timestamps import humanize_duration
from packs.models import Action, ActionState

WIDTH = 1000.0
MIN_WIDTH = 3.0


@dataclass(frozen=True)
class TimelineRow:
    """An action's line in the timeline: its queue time, its run time and its bar."""

    action: Action
    queue_time: timedelta
    run_time: timedelta
    bar: SafeString
    is_ended: bool
    status: str


def build_timeline_rows(actions: Sequence[Action], now: datetime) -> list[TimelineRow]:
    """Build one row per action, oldest first, on one scale: from the first queueing to the last end, or to `now`."""
    intervals_by_action = [(action, build_intervals(action)) for action in actions]
    times = [
        moment
        for _, action_intervals in intervals_by_action
        for interval in action_intervals
        for moment in (interval.start, interval.end or now)
    ]
    if not times:
        return []
    start, total_seconds = min(times), max((max(times) - min(times)).total_seconds(), 0.001)
    return [
        TimelineRow(
            action,
            _total_queue_time(action_intervals, now),
            total_run_time(action_intervals, now),
            _render_bar(action_intervals, start, total_seconds, now),
            _has_ended(action),
            get_status(action, now),
        )
        for action, action_intervals in intervals_by_action
    ]


def _has_ended(action: Action) -> bool:
    return action.state not in (ActionState.NEW, ActionState.PENDING)


def _total_queue_time(action_intervals: Sequence[ActionInterval], now: datetime) -> timedelta:
    return sum(
        (interval.duration(now) for interval in action_intervals if interval.kind is IntervalKind.QUEUED), timedelta(0)
    )


def _render_bar(
    action_intervals: Sequence[ActionInterval], start: datetime, total_seconds: float, now: datetime
) -> SafeString:
    """Render the bar, hidden from screen readers: they read the durations."""
    scale = WIDTH / total_seconds
    parts = format_html_join(
        "",
        '<rect class="span-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        (_bar_attributes(interval, start, scale, now) for interval in action_intervals),
    )
    return format_html(
        '<svg class="bar" viewBox="0 0 {} 14" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        round(WIDTH),
        parts,
    )


def _bar_attributes(
    interval: ActionInterval, start: datetime, scale: float, now: datetime
) -> tuple[str, str, int, str, int, SafeString]:
    width = max(interval.duration(now).total_seconds() * scale, MIN_WIDTH)
    x = min(max((interval.start - start).total_seconds(), 0.0) * scale, WIDTH - MIN_WIDTH)
    is_thin = interval.kind is not IntervalKind.CLAIMED
    geometry = (f"{x:.1f}", 5 if is_thin else 1, f"{min(width, WIDTH - x):.1f}", 4 if is_thin else 12)
    return (_css_class(interval), *geometry, escape_xml(_describe_interval(interval, now)))


def _css_class(interval: ActionInterval) -> str:
    if interval.kind is not IntervalKind.CLAIMED:
        return interval.kind.value
    return {"SUCCESS": "good", "": "busy", "CANCELLED": "still"}.get(interval.ended_with.value, "bad")


def _describe_interval(interval: ActionInterval, now: datetime) -> str:
    duration = humanize_duration(interval.duration(now))
    if interval.kind is IntervalKind.ENDED:
        return f"finished for {duration}, then retried manually"
    description = (
        f"running on {interval.claimed_by or 'a pack'}" if interval.kind is IntervalKind.CLAIMED else "waiting"
    )
    outcome = interval.ended_with.value if interval.kind is IntervalKind.CLAIMED else ""
    end = f", {STATUSES.get(outcome, outcome)}" if outcome else ""
    return f"attempt {interval.attempt}: {description} for {duration}{end}"
