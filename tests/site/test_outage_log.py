"""Log lines of failed requests: one for each, and summaries while the database is unavailable."""

import logging
import sys

import pytest
from structlog.testing import capture_logs

from flyte_site.core import outage_log
from flyte_site.core.observability.logging_config import FailedRequestFilter

pytestmark = pytest.mark.unit


def test_failures_of_ten_seconds_are_one_line_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("flyte_site.core.outage_log.time.monotonic", lambda: now)
    with capture_logs() as logs:
        for seconds in (0, 1, 9.9, 10.1, 11, 40):
            now = 1000 + seconds
            outage_log.outage_log().record("refused")
    assert [(line["event"], line["error"], line["failures"]) for line in logs] == [
        ("database_away", "refused", 1),
        ("database_away", "refused", 3),
        ("database_away", "refused", 2),
    ]


def test_only_exceptions_that_were_not_handled_are_logged_again() -> None:
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "Service Unavailable: /v1/packs", (), None)
    assert not FailedRequestFilter().filter(record)
    try:
        raise ValueError
    except ValueError:
        record.exc_info = sys.exc_info()
    assert FailedRequestFilter().filter(record)
