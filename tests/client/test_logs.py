"""Log lines as JSON: fields of the library's records, and the whole text of other records."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from flyte_client.errors import SettingsError
from flyte_client.logs import EVENT_LINE, JSONLineFormatter, configure_logging
from flyte_client.transport.server import ClaimedAction
from tests.server import ROOT

pytestmark = pytest.mark.unit

WITH_REQUEST_ID = ClaimedAction("Do it", None, httpx.URL("http://h/"), request_id="of-the-event")
WITHOUT_REQUEST_ID = ClaimedAction("Do it", None, httpx.URL("http://h/"))


def fields(template: Any, *values: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("flyte_client.worker", logging.WARNING, "file", 1, template, values, **more)
    line = JSONLineFormatter().format(record)
    assert "\n" not in line
    line_fields: dict[str, Any] = json.loads(line)
    return line_fields


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("mail_unreadable", (), {"event": "mail_unreadable"}),
        ("pack_registered pack=%s", ("Slack",), {"event": "pack_registered", "pack": "Slack"}),
        ("take_refused status=%s reason=%r", (409, 'a "b"\nc'), {"status": 409, "reason": 'a "b"\nc'}),
        ("server_away call=spooled wait_s=%.1f", (1.26,), {"call": "spooled", "wait_s": 1.3}),
        ("health_page_ready address=%s:%s", ("::1", 80), {"event": "health_page_ready", "address": "::1:80"}),
        ("action_taken %s", (WITH_REQUEST_ID,), {"command": "Do it", "request_id": "of-the-event"}),
        (
            "action_done %s event=%s",
            (WITHOUT_REQUEST_ID, "Said"),
            {"event": "action_done", "command": "Do it", "event_name": "Said"},
        ),
        ("spooled ok=%s left=%s", (True, None), {"ok": True, "left": None}),
        ("Said hello to %s", ("é 10% you",), {"event": "Said hello to é 10% you"}),
        ("got %s", ("x",), {"event": "got x"}),
        ("done=100%%", (), {"event": "done=100%%"}),
        ("n=%x of %d", (255, 3), {"event": "n=ff of 3"}),
        ("two words", (), {"event": "two words"}),
        (ValueError("no text"), (), {"event": "no text"}),
    ],
)
def test_a_line_is_an_object_with_its_fields(
    template: Any, values: tuple[object, ...], expected: dict[str, Any]
) -> None:
    line_fields = fields(template, *values, exc_info=None)
    assert line_fields.items() >= expected.items()
    assert line_fields.keys() - expected.keys() <= {"event", "level", "logger", "timestamp"}


def test_every_line_has_time_level_and_logger_like_the_servers() -> None:
    line_fields = fields("x", exc_info=None)
    assert (line_fields["level"], line_fields["logger"]) == ("warning", "flyte_client.worker")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line_fields["timestamp"])
    assert abs(datetime.fromisoformat(line_fields["timestamp"]) - datetime.now(UTC)).total_seconds() < 60


def test_an_exception_is_a_field_of_its_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        line_fields = fields("handler_failed command=%s", "Do", exc_info=sys.exc_info())
    assert (line_fields["event"], line_fields["command"]) == ("handler_failed", "Do")
    assert line_fields["exception"].startswith("Traceback (most recent call last)")
    assert line_fields["exception"].endswith("ValueError: first\nsecond")


def test_every_line_of_the_library_is_a_name_and_fields() -> None:
    sources = [path.read_text() for path in (ROOT / "flyte_client").rglob("*.py")]
    templates = [template for text in sources for template in re.findall(r'logger\.\w+\(\s*"([^"]+)"', text)]
    assert len(templates) > 40
    assert [template for template in templates if not EVENT_LINE.fullmatch(template)] == []


@pytest.mark.parametrize("form", ["xml", "logfmt", "text,json"])
def test_an_unknown_log_format_is_reported(form: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_LOG_FORMAT: invalid value .*, must be one of text, json"):
        configure_logging({"FLYTE_LOG_FORMAT": form})
