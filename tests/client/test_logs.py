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

KNOWN = ClaimedAction("Do it", None, httpx.URL("http://h/"), request_id="of-the-event")
UNKNOWN = ClaimedAction("Do it", None, httpx.URL("http://h/"))


def fields(template: Any, *values: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("flyte_client.worker", logging.WARNING, "file", 1, template, values, **more)
    line = JSONLineFormatter().format(record)
    assert "\n" not in line
    told: dict[str, Any] = json.loads(line)
    return told


@pytest.mark.parametrize(
    ("template", "values", "told"),
    [
        ("mail_unreadable", (), {"event": "mail_unreadable"}),
        ("pack_registered pack=%s", ("Slack",), {"event": "pack_registered", "pack": "Slack"}),
        ("take_refused status=%s reason=%r", (409, 'a "b"\nc'), {"status": 409, "reason": 'a "b"\nc'}),
        ("server_away call=spooled wait_s=%.1f", (1.26,), {"call": "spooled", "wait_s": 1.3}),
        ("health_page_ready address=%s:%s", ("::1", 80), {"event": "health_page_ready", "address": "::1:80"}),
        ("action_taken %s", (KNOWN,), {"command": "Do it", "request_id": "of-the-event"}),
        (
            "action_done %s event=%s",
            (UNKNOWN, "Said"),
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
def test_a_line_is_an_object_with_its_fields(template: Any, values: tuple[object, ...], told: dict[str, Any]) -> None:
    found = fields(template, *values, exc_info=None)
    assert found.items() >= told.items()
    assert found.keys() - told.keys() <= {"event", "level", "logger", "timestamp"}


def test_every_line_tells_when_how_bad_and_from_where_as_the_servers_do() -> None:
    found = fields("x", exc_info=None)
    assert (found["level"], found["logger"]) == ("warning", "flyte_client.worker")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found["timestamp"])
    assert abs(datetime.fromisoformat(found["timestamp"]) - datetime.now(UTC)).total_seconds() < 60


def test_an_exception_is_a_field_of_its_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        found = fields("handler_failed command=%s", "Do", exc_info=sys.exc_info())
    assert (found["event"], found["command"]) == ("handler_failed", "Do")
    assert found["exception"].startswith("Traceback (most recent call last)")
    assert found["exception"].endswith("ValueError: first\nsecond")


def test_every_line_of_the_library_is_a_name_and_fields() -> None:
    sources = [path.read_text() for path in (ROOT / "flyte_client").rglob("*.py")]
    templates = [one for text in sources for one in re.findall(r'logger\.\w+\(\s*"([^"]+)"', text)]
    assert len(templates) > 40
    assert [one for one in templates if not EVENT_LINE.fullmatch(one)] == []


@pytest.mark.parametrize("form", ["xml", "logfmt", "text,json"])
def test_an_unknown_log_format_is_reported(form: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLYTE_LOG_FORMAT: invalid value .*, must be one of text, json"):
        configure_logging({"FLYTE_LOG_FORMAT": form})
