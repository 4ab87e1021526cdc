"""How the executions of the last hours ended, as a drawing made by the server; a table beside it says the same."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.figures import Hour

WIDTH, HEIGHT = 820, 180
LEFT, TOP, BOTTOM = 46, 10, 24
LEAST = 2.0
GAP = 0.22
LABEL_EVERY = 3
KINDS = ("succeeded", "failed", "cancelled")


def drawn(hours: Sequence[Hour]) -> SafeString:
    """A bar an hour, what succeeded at its foot. For those who don't see it one sentence stands for it."""
    top = scale_top(max((hour.total for hour in hours), default=0))
    totals = ", ".join(f"{sum(getattr(hour, kind) for hour in hours)} {kind}" for kind in KINDS)
    return format_html(
        '<svg class="hours" viewBox="0 0 {} {}" role="img" aria-label="Executions by the hour: {}">{}{}</svg>',
        WIDTH,
        HEIGHT,
        totals,
        _lines(top),
        format_html_join("", "{}", ((_bar(hour, place, len(hours), top),) for place, hour in enumerate(hours))),
    )


def scale_top(most: int) -> int:
    """The round number that the highest bar stays below, or reaches: 1, 2, 5, 10, 20, 50 …"""
    size = 1
    while True:
        for step in (1, 2, 5):
            if most <= step * size:
                return step * size
        size *= 10


def _lines(top: int) -> SafeString:
    values = [0, top] if top == 1 or top % 2 else [0, top // 2, top]
    return format_html_join(
        "",
        '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>',
        ((LEFT, WIDTH, y, LEFT - 8, y + 4, f"{value:,}") for value in values for y in [round(_y(value, top), 1)]),
    )


def _y(value: float, top: int) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


def _bar(hour: Hour, place: int, count: int, top: int) -> SafeString:
    step = (WIDTH - LEFT) / count
    x, width = LEFT + (place + GAP / 2) * step, step * (1 - GAP)
    parts, foot = [], float(HEIGHT - BOTTOM)
    for kind in KINDS:
        if number := getattr(hour, kind):
            height = max(HEIGHT - BOTTOM - _y(number, top), LEAST)
            foot -= height
            parts.append((kind, f"{x:.1f}", f"{foot:.1f}", f"{width:.1f}", f"{height:.1f}"))
    label = f"{hour.start:%H:%M}" if place % LABEL_EVERY == 0 else ""
    return format_html(
        '<g><title>{}</title><rect class="hour" x="{}" y="0" width="{}" height="{}"/>{}{}</g>',
        told(hour),
        f"{LEFT + place * step:.1f}",
        f"{step:.1f}",
        HEIGHT - BOTTOM,
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', parts),
        format_html('<text x="{}" y="{}">{}</text>', f"{x:.1f}", HEIGHT - 6, label) if label else "",
    )


def told(hour: Hour) -> str:
    """E.g. `14:00 UTC: 12 succeeded, 1 failed`."""
    some = [f"{getattr(hour, kind)} {kind}" for kind in KINDS if getattr(hour, kind)]
    return f"{hour.start:%H:%M} UTC: {', '.join(some) or 'none ended'}{', and more' if hour.cut else ''}"
