"""The demo with a real server, real packs and a real flow."""

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from examples.demo.bank_holidays import list_bank_holidays
from tests import processes
from tests.programs import needs

from .program import ROOT

pytestmark = pytest.mark.acceptance


def run_demo(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return processes.run(
        [sys.executable, "-m", f"examples.demo.{name}"],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_quickstart_runs_from_the_message_to_the_answer() -> None:
    needs("curl", "jq")
    # Settings of the caller's own server must not get into the demo's.
    done = run_demo(
        "run", FLYTE_PORT="nonsense", FLYTE_DATABASE_URL="sqlite:////nowhere/at/all", FLYTE_LABELS="env=other"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    this_year = date.today().year
    assert "[demo] Hey <@U0NEWCOMER>!" in lines
    for event in list_bank_holidays(range(this_year, this_year + 1))["events"]:
        assert f"[demo] {event['date']} - {event['title']}" in lines
    assert "step receive_uk_bank_holiday_message_send_response" in lines
    assert "step send_bank_holiday_response" in lines
    assert sum("NEW " in line and "PENDING " in line and "SUCCESS " in line for line in lines) == 2


def test_an_event_goes_through_four_packs_and_the_audit_shows_every_hop() -> None:
    done = run_demo("packs", FLYTE_WEBHOOK_FILE="/nowhere/at/all", FLYTE_SLACK_APP_TOKEN="nonsense")
    assert done.returncode == 0, done.stdout + done.stderr
    audit = [line.split() for line in done.stdout.partition("from GET /v1/audit")[2].splitlines()]
    hops = [(words[0], words[-1]) for words in audit if words[:1] in (["trigger"], ["command"], ["result"])]
    assert hops == [
        ("trigger", "Webhook/Received"),
        ("command", "Shell/Shell"),
        ("result", "Shell/Output"),
        ("trigger", "Shell/Output"),
        ("command", "Slack/SendMessage"),
        ("result", "Slack/MessageSent"),
        ("trigger", "Slack/MessageSent"),
        ("command", "Email/SendEmail"),
        ("result", "Email/EmailSent"),
    ]
    assert "[C0TEAM] ann pushed to demo/site: 5f2c1b0 was checked at" in done.stdout
    assert "To: ann@example.com" in done.stdout
    assert "Subject: demo/site was checked" in done.stdout


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    needs("curl")
    for name in ("bash", "curl"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    done = run_demo("run", PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "The demo requires jq: install and try again.\n"
    assert done.stdout == ""
