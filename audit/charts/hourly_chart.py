"""A bar chart, drawn by the server, of executions that ended in the last hours. A table next to it has the same
figures.
"""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from audit.stats import HourStats

WIDTH, HEIGHT = 820, 180
LEFT, TOP, BOTTOM = 46, 10, 24
MIN_BAR_HEIGHT = 2.0
GAP = 0.22
LABEL_EVERY = 3
OUTCOMES = ("succeeded", "failed", "cancelled")


def render_hourly_chart(hours: Sequence[HourStats]) -> SafeString:
    """Render one bar per hour, with succeeded executions at the bottom. One sentence describes it for
    screen readers.
    """
    top = round_up_to_scale(max((hour.total for hour in hours), default=0))
    totals = ", ".join(f"{sum(getattr(hour, outcome) for hour in hours)} {outcome}" for outcome in OUTCOMES)
    return format_html(
        '<svg class="hours" viewBox="0 0 {} {}" role="img" aria-label="Executions by the hour: {}">{}{}</svg>',
        WIDTH,
        HEIGHT,
        totals,
        _render_grid(top),
        format_html_join("", "{}", ((_render_bar(hour, index, len(hours), top),) for index, hour in enumerate(hours))),
    )


def round_up_to_scale(highest: int) -> int:
    """Round up to the next of 1, 2, 5, 10, 20, 50 …: the top of the chart's scale."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if highest <= step * size:
                return step * size
        size *= 10


def _render_grid(top: int) -> SafeString:
    values = [0, top] if top == 1 or top % 2 else [0, top // 2, top]
    return format_html_join(
        "",
        '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>',
        (
            (LEFT, WIDTH, y, LEFT - 8, y + 4, f"{value:,}")
            for value in values
            for y in [round(_y_position(value, top), 1)]
        ),
    )


def _y_position(value: float, top: int) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP)


def _render_bar(hour: HourStats, index: int, count: int, top: int) -> SafeString:
    step = (WIDTH - LEFT) / count
    x, width = LEFT + (index + GAP / 2) * step, step * (1 - GAP)
    parts, foot = [], float(HEIGHT - BOTTOM)
    for outcome in OUTCOMES:
        if number := getattr(hour, outcome):
            height = max(HEIGHT - BOTTOM - _y_position(number, top), MIN_BAR_HEIGHT)
            foot -= height
            parts.append((outcome, f"{x:.1f}", f"{foot:.1f}", f"{width:.1f}", f"{height:.1f}"))
    label = f"{hour.start:%H:%M}" if index % LABEL_EVERY == 0 else ""
    return format_html(
        '<g><title>{}</title><rect class="hour" x="{}" y="0" width="{}" height="{}"/>{}{}</g>',
        describe_hour(hour),
        f"{LEFT + index * step:.1f}",
        f"{step:.1f}",
        HEIGHT - BOTTOM,
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', parts),
        format_html('<text x="{}" y="{}">{}</text>', f"{x:.1f}", HEIGHT - 6, label) if label else "",
    )


def describe_hour(hour: HourStats) -> str:
    """Describe an hour in words, e.g. `14:00 UTC: 12 succeeded, 1 failed`."""
    counts = [f"{getattr(hour, outcome)} {outcome}" for outcome in OUTCOMES if getattr(hour, outcome)]
    return f"{hour.start:%H:%M} UTC: {', '.join(counts) or 'none ended'}{', and more' if hour.is_truncated else ''}"
