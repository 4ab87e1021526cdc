"""The time of an execution's actions as bars, drawn by the server; the durations stand beside them as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.timeline import STATUSES, Interval, Span, intervals, status, worked
from flows.drawing.text import safe
from flyte_site.times import in_words
from packs.models import Action, State

WIDTH = 1000.0
LEAST = 3.0


@dataclass(frozen=True)
class Row:
    """An action's line in the timeline: how long it waited and was held, and its bar."""

    action: Action
    waited: timedelta
    held: timedelta
    bar: SafeString
    ended: bool
    status: str


def rows(actions: Sequence[Action], now: datetime) -> list[Row]:
    """A row an action, oldest first, all on the same scale: from the first queueing to the last end, or now."""
    found = [(action, intervals(action)) for action in actions]
    times = [moment for _, own in found for one in own for moment in (one.start, one.end or now)]
    if not times:
        return []
    start, length = min(times), max((max(times) - min(times)).total_seconds(), 0.001)
    return [
        Row(
            action=action,
            waited=_waited(own, now),
            held=worked(own, now),
            bar=_bar(own, start, length, now),
            ended=_ended(action),
            status=status(action, now),
        )
        for action, own in found
    ]


def _ended(action: Action) -> bool:
    return action.state not in (State.NEW, State.PENDING)


def _waited(own: Sequence[Interval], now: datetime) -> timedelta:
    return sum((one.length(now) for one in own if one.span is Span.WAITING), timedelta(0))


def _bar(own: Sequence[Interval], start: datetime, length: float, now: datetime) -> SafeString:
    """Shown to those who see it alone: whoever doesn't has the durations."""
    scale = WIDTH / length
    parts = format_html_join(
        "",
        '<rect class="span-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        (_part(one, start, scale, now) for one in own),
    )
    return format_html(
        '<svg class="bar" viewBox="0 0 {} 14" preserveAspectRatio="none" aria-hidden="true">{}</svg>',
        round(WIDTH),
        parts,
    )


def _part(one: Interval, start: datetime, scale: float, now: datetime) -> tuple[str, str, int, str, int, SafeString]:
    width = max(one.length(now).total_seconds() * scale, LEAST)
    x = min(max((one.start - start).total_seconds(), 0.0) * scale, WIDTH - LEAST)
    thin = one.span is not Span.HELD
    place = (f"{x:.1f}", 5 if thin else 1, f"{min(width, WIDTH - x):.1f}", 4 if thin else 12)
    return (_kind(one), *place, safe(_told(one, now)))


def _kind(one: Interval) -> str:
    if one.span is not Span.HELD:
        return one.span.value
    return {"SUCCESS": "good", "": "busy", "CANCELLED": "still"}.get(one.ended_with.value, "bad")


def _told(one: Interval, now: datetime) -> str:
    length = in_words(one.length(now))
    if one.span is Span.ENDED:
        return f"finished for {length}, then retried manually"
    what = f"running on {one.holder or 'a pack'}" if one.span is Span.HELD else "waiting"
    end = STATUSES.get(one.ended_with.value, one.ended_with.value) if one.span is Span.HELD else ""
    return f"attempt {one.attempt}: {what} for {length}{end and f', {end}'}"
