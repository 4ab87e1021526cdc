"""Log lines for people, as server and packs print them on a terminal."""

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from flyte_client.logs import TerminalFormatter
from flyte_client.terminal_log import format_line, supports_color
from flyte_client.transport.server import ClaimedAction

pytestmark = pytest.mark.unit

TIME = datetime(2026, 11, 21, 8, 6, 21, tzinfo=UTC)
ID = "01a1fecff403247cd530bb3d"


def line(event: str, logger: str = "flows.engine", *, colored: bool = False, **fields: Any) -> str:
    fields = {"event": event, "level": "info", "logger": logger, "timestamp": "2026-11-21T08:06:21Z", **fields}
    return format_line(fields, TIME, UTC, colored=colored)


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        (
            "event_received",
            {"pack": "Slack", "event_name": "Said", "flows": 2, "executions": f"{ID} {ID}"},
            '08:06:21 ← event  Slack Said flows=2 executions="…d530bb3d …d530bb3d"',
        ),
        (
            "event_received",
            {"pack": "Slack", "event_name": "Said", "flows": 1, "reason": "flow date: criteria false"},
            "08:06:21 ← event  Slack Said – flow date: criteria false flows=1",
        ),
        (
            "action_taken",
            {"pack": "Shell", "action": ID, "execution": ID, "command": "Run it"},
            "08:06:21 → action Shell Run it action=…d530bb3d execution=…d530bb3d",
        ),
        (
            "result_received",
            {"pack": "Shell", "action": ID, "event_name": "Output", "outcome": "counted"},
            "08:06:21 ← result Shell Output action=…d530bb3d",
        ),
        (
            "result_received",
            {"pack": "S", "event_name": "O", "outcome": "refused"},
            "08:06:21 ← result S O outcome=refused",
        ),
        (
            "pack_registered",
            {"pack": "Slack", "request_id": "own"},
            "08:06:21 · pack_registered pack=Slack request_id=own",
        ),
        ("Booting worker", {}, "08:06:21 · Booting worker"),
    ],
)
def test_a_line_has_a_short_time_an_arrow_and_short_ids(event: str, fields: dict[str, Any], expected: str) -> None:
    assert line(event, **fields) == expected


def test_the_arrows_of_a_pack_point_the_other_way() -> None:
    def record(template: str, *values: object) -> str:
        entry = logging.LogRecord("flyte_client.worker", logging.INFO, "file", 1, template, values, None)
        return TerminalFormatter(colored=False).format(entry).partition(" ")[2]

    action = ClaimedAction("Run it", None, httpx.URL("http://h/"), request_id=ID)
    assert record("event_sent pack=%s event=%s", "Slack", "Said") == "→ event  Slack Said"
    assert record("action_taken %s", action) == "← action Run it request_id=…d530bb3d"
    assert record("action_done %s event=%s", action, "Output") == "→ result Run it Output request_id=…d530bb3d"


def test_an_unreachable_server_is_reported_in_a_sentence() -> None:
    reason = "can't reach http://localhost:1 (connection refused)"
    away = line("server_away", "flyte_client", level="warning", call="listPacks", wait_s=0.5, reason=reason)
    assert away == f"08:06:21 · warning: {reason}; retrying in 0.5 s call=listPacks"
    spooled = line("server_away", "flyte_client", level="warning", call="spooled", reason=reason)
    assert spooled == f"08:06:21 · warning: {reason} call=spooled"
    assert line("server_away", level="warning") == "08:06:21 · warning: server_away"


def test_warnings_and_errors_name_their_level_and_a_traceback_keeps_its_lines() -> None:
    failed = line("job_failed", level="error", job="x", exception="Traceback:\n\tfile\nValueError")
    assert failed == "08:06:21 · error: job_failed job=x\nTraceback:\n    file\nValueError"
    assert line("redis_away", level="warning") == "08:06:21 · warning: redis_away"


def test_control_characters_are_escaped_everywhere() -> None:
    text = line("said \x1b[2J", pack="\x1b]0;x\x07", request_id="\x1b" * 30, reason="a\nb", exception="c\x1b\nd")
    assert text.count("\n") == 2  # those of the traceback
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b[2J" in text


def test_colors_are_optional_and_a_fatal_result_is_red() -> None:
    plain, colored = (line("result_received", pack="P", event_name="FATAL", colored=on) for on in (False, True))
    assert "\x1b" not in plain
    assert "\x1b[31m← result " in colored
    assert supports_color({"TERM": "xterm"})
    assert not supports_color({"TERM": "xterm", "NO_COLOR": "1"})
    assert not supports_color({"TERM": "dumb"})


def test_the_time_is_that_of_the_zone() -> None:
    zone = timezone(timedelta(hours=9))
    assert format_line({"event": "x"}, TIME, zone, colored=False).startswith("17:06:21 ")
