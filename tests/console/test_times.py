"""Times in the console: relative in the text, and exact in the tooltip."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from flyte_site.templatetags.console import ago

pytestmark = pytest.mark.unit

# Hours in the table below the chart, and labels of versions for screen readers.
BY_THE_CLOCK = {"home_hours.html", "flow_versions.html"}


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (timedelta(days=2, hours=3, seconds=1), "2 d 3 h ago"),
        (timedelta(days=3, seconds=1), "3 days ago"),
        (timedelta(days=-89, hours=-23), "in 89 days"),
        (timedelta(minutes=-5, seconds=-30), "in 5 min 30 s"),
        (timedelta(hours=-1, seconds=-30), "in 1 h"),
        (timedelta(milliseconds=-500), "just now"),
        (timedelta(milliseconds=5), "just now"),
    ],
)
def test_a_time_is_shown_relative_to_now(passed: timedelta, expected: str) -> None:
    text = re.sub("<[^>]+>", "", ago(timezone.now() - passed))
    assert text.startswith(expected[:6])
    assert text.endswith(" ago") == expected.endswith(" ago")


def test_the_tooltip_is_the_exact_time_in_utc() -> None:
    exact = "2026-11-20T12:30:00.000Z"
    assert f'<time datetime="{exact}" title="{exact}">' in ago(datetime(2026, 11, 20, 12, 30, tzinfo=UTC))
    assert ago(None) == "–"


def test_only_listed_pages_format_times_themselves() -> None:
    pages = (Path(settings.BASE_DIR) / "templates" / "console").glob("*.html")
    assert {page.name for page in pages if "|date" in page.read_text()} == BY_THE_CLOCK
