"""The Timer pack: ticks, catching up, and several processes that send each tick once."""

import json
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flyte_client.errors import SettingsError
from flyte_client.events import Event, encode_event
from flyte_client.packs.timer.runner import build_event_key, build_payload, find_due_ticks, find_start
from flyte_client.packs.timer.schedule import IntervalSchedule
from flyte_client.packs.timer.settings import Timer, read_settings
from tests.client.stub_server import StubResponse, StubServer
from tests.examples.world import ExampleClient
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually, seen, watch

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)


def config(**timer: Any) -> str:
    return json.dumps({"timers": [{"name": "t"} | timer]})


def timer(seconds: int, catch_up: int = 0) -> Timer:
    return Timer("t", IntervalSchedule(seconds), ZoneInfo("Europe/Berlin"), "Tick", catch_up, {"a": 1})


def minutes_ago(ticks: list[datetime]) -> list[float]:
    return [round((NOW - tick).total_seconds() / 60, 1) for tick in ticks]


@pytest.mark.unit
def test_a_tick_is_the_same_from_all_senders() -> None:
    tick = datetime(2026, 7, 1, 7, 0, tzinfo=UTC)
    assert build_payload(timer(60), tick) == {"timer": "t", "time": "2026-07-01T09:00:00+02:00", "data": {"a": 1}}
    assert build_event_key(timer(60), tick) == "timer/t/2026-07-01T07:00:00+00:00"


@pytest.mark.unit
def test_missed_ticks_are_skipped_but_not_those_that_are_merely_late() -> None:
    assert minutes_ago(find_due_ticks(timer(600), NOW - timedelta(hours=2), NOW)) == [0.5]
    assert len(find_due_ticks(timer(1), NOW - timedelta(hours=2), NOW)) == 61


@pytest.mark.unit
def test_a_start_sends_the_newest_tick_if_it_is_only_late() -> None:
    assert minutes_ago(find_due_ticks(timer(10), find_start(timer(10), NOW), NOW)) == [0.0]
    assert minutes_ago(find_due_ticks(timer(600), find_start(timer(600), NOW), NOW)) == [0.5]
    assert (
        find_due_ticks(timer(7200), find_start(timer(7200), NOW + timedelta(hours=1)), NOW + timedelta(hours=1)) == []
    )
    assert find_due_ticks(timer(600, 5), find_start(timer(600, 5), NOW), NOW) == []


@pytest.mark.unit
def test_the_newest_missed_ticks_are_caught_up() -> None:
    assert minutes_ago(find_due_ticks(timer(600, 3), NOW - timedelta(hours=2), NOW)) == [30.5, 20.5, 10.5, 0.5]
    assert minutes_ago(find_due_ticks(timer(600, 3), NOW - timedelta(minutes=12), NOW)) == [10.5, 0.5]


@pytest.mark.unit
def test_a_tick_older_than_the_idempotency_window_is_not_caught_up() -> None:
    ticks = find_due_ticks(timer(3600, 100), NOW - timedelta(days=9), NOW)
    assert len(ticks) == 23
    assert NOW - ticks[0] < timedelta(hours=23)


@pytest.mark.unit
@pytest.mark.parametrize("every", ["5400s", "90m", "1h30m", "1.5h", "1h 30m", 5400, "5400"])
def test_an_interval_is_a_duration(every: Any) -> None:
    settings = read_settings({"FLYTE_TIMER_CONFIG": config(every=every)})
    assert settings.timers[0].schedule == IntervalSchedule(5400)


@pytest.mark.acceptance
def test_two_processes_send_each_tick_once(world: ExampleClient, packs_server: Server, start_pack: StartPack) -> None:
    watch(world, "Timer", "Tick")
    settings = {"FLYTE_TIMER_CONFIG": config(every="1s"), "FLYTE_TIMER_TIMEZONE": "Europe/Berlin"}
    programs = [start_pack("timer", packs_server.url, **settings) for _ in range(2)]
    for program in programs:
        eventually(lambda log=program.log: sum("event_sent" in line for line in log) >= 4)  # type: ignore[misc]
    for program in programs:
        program.signal()
        assert program.exit_code() == 0
    times = [datetime.fromisoformat(tick["time"]) for tick in seen(world, "Timer", "Tick")]
    sent = sum("event_sent" in line for program in programs for line in program.log)
    assert len(times) >= 4
    assert sent > len(times), "only one of them sent anything"
    assert len(set(times)) == len(times)
    gaps = {later - earlier for earlier, later in pairwise(sorted(times))}
    assert gaps == {timedelta(seconds=1)}


@pytest.mark.acceptance
def test_a_restart_loses_and_doubles_no_tick(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, tmp_path: Path
) -> None:
    watch(world, "Timer", "Tick")
    settings = {"FLYTE_TIMER_CONFIG": config(every="1s", catchUp=100), "FLYTE_TIMER_STATE": str(tmp_path / "ticks")}
    for number in (1, 2):
        program = start_pack("timer", packs_server.url, **settings)
        program.wait_for_log("event_sent")
        if number == 1:
            program.kill()
            time.sleep(2.1)
    before = len(seen(world, "Timer", "Tick"))
    eventually(lambda: len(seen(world, "Timer", "Tick")) > before)
    times = sorted(datetime.fromisoformat(tick["time"]) for tick in seen(world, "Timer", "Tick"))
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(seconds=1)}


@pytest.mark.integration
def test_missed_ticks_are_sent_later(stub: StubServer, start_pack: StartPack, tmp_path: Path) -> None:
    state = tmp_path / "new folder" / "ticks.json"
    settings = {"FLYTE_TIMER_CONFIG": config(every="10m", catchUp=2), "FLYTE_TIMER_STATE": str(state)}
    first = start_pack("timer", stub.url, **settings)
    first.wait_for_log("pack_registered")
    eventually(state.exists)
    first.signal()
    assert first.exit_code() == 0
    began = datetime.fromisoformat(json.loads(state.read_text())["t"])
    assert datetime.now(UTC) - began < timedelta(minutes=1)
    calls = len(stub.of("event"))
    state.write_text(json.dumps({"t": (datetime.now(UTC) - timedelta(hours=2)).isoformat()}))
    start_pack("timer", stub.url, **settings)
    stub.wait_for("event", calls + 2)
    ages = [datetime.now(UTC) - datetime.fromisoformat(call.body["payload"]["time"]) for call in stub.of("event")]
    assert all(age < timedelta(minutes=31) for age in ages)
    eventually(lambda: datetime.fromisoformat(json.loads(state.read_text())["t"]) > began - timedelta(minutes=30))


@pytest.mark.integration
def test_ticks_outlast_a_short_absence_of_the_server(stub: StubServer, start_pack: StartPack) -> None:
    program = start_pack("timer", stub.url, FLYTE_TIMER_CONFIG=config(every="1s"))
    stub.wait_for("event", 1)
    stub.stop()
    program.wait_for_log("server_away")
    stub.start()
    stub.wait_for("event", len(stub.of("event")) + 3)
    keys = list(dict.fromkeys(call.headers["Idempotency-Key"] for call in stub.of("event")))
    times = [datetime.fromisoformat(key.removeprefix("timer/t/")) for key in keys]
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(seconds=1)}


@pytest.mark.integration
def test_a_rejected_tick_does_not_block_the_others(stub: StubServer, start_pack: StartPack) -> None:
    stub.script("event", *[StubResponse(422)] * 3)
    start_pack("timer", stub.url, FLYTE_TIMER_CONFIG=config(every="1s", event="Second"))
    calls = stub.wait_for("event", 5, event="Second")
    keys = [call.headers["Idempotency-Key"] for call in calls]
    assert len(set(keys)) == len(keys)


@pytest.mark.unit
def test_data_that_an_event_cannot_contain_is_refused_at_the_start() -> None:
    data: list[Any] = []
    for _ in range(97):
        data = [data]
    (accepted,) = read_settings({"FLYTE_TIMER_CONFIG": config(every="1h", data=data)}).timers
    assert encode_event(Event(accepted.event, build_payload(accepted, NOW)))
    for depth in (99, 900):
        text = config(every="1h", data="DATA").replace('"DATA"', "[" * depth + "]" * depth)
        with pytest.raises(SettingsError, match=r"data: nested too deeply, an event can have 100 levels$"):
            read_settings({"FLYTE_TIMER_CONFIG": text})
    with pytest.raises(SettingsError, match=r"^FLYTE_TIMER_CONFIG: nested deeper than 100 levels$"):
        read_settings({"FLYTE_TIMER_CONFIG": text.replace("[" * 900, "[" * 100_000).replace("]" * 900, "]" * 100_000)})


@pytest.mark.integration
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "Timer: FLYTE_TIMER_FILE: set either this variable"),
        ({"FLYTE_TIMER_FILE": "/nowhere"}, "Timer: FLYTE_TIMER_FILE: can't read /nowhere (No such file"),
        ({"FLYTE_TIMER_CONFIG": "a: ["}, "Timer: FLYTE_TIMER_CONFIG: invalid YAML or JSON"),
        ({"FLYTE_TIMER_CONFIG": "timers: []"}, "Timer: FLYTE_TIMER_CONFIG: must contain only the list `timers`"),
        ({"FLYTE_TIMER_CONFIG": config()}, "Timer: FLYTE_TIMER_CONFIG: timers[0].cron: set either `cron` or `every`"),
        ({"FLYTE_TIMER_CONFIG": config(cron="9 9")}, "timers[0].cron: invalid cron expression '9 9'"),
        ({"FLYTE_TIMER_CONFIG": config(every="1s", tz="x")}, "timers[0].tz: unknown key"),
        ({"FLYTE_TIMER_CONFIG": config(every="0s")}, "timers[0].every: duration '0s' is out of range, use 1s to 366d"),
        ({"FLYTE_TIMER_CONFIG": config(every="1s", timezone="Mars")}, "timers[0].timezone: unknown time zone 'Mars'"),
        ({"FLYTE_TIMER_CONFIG": config(every="1s", catchUp=1)}, "timers[0].catchUp: requires FLYTE_TIMER_STATE"),
        (
            {"FLYTE_TIMER_CONFIG": config(every="1s"), "FLYTE_TIMER_STATE": "/proc/x"},
            "FLYTE_TIMER_STATE: can't use /proc/x",
        ),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, settings: dict[str, str], words: str
) -> None:
    program = start_pack("timer", stub.url, **settings)
    assert program.exit_code() == 2
    (line,) = program.log
    assert words in line


@pytest.mark.integration
def test_two_processes_do_not_share_a_file_of_state(stub: StubServer, start_pack: StartPack, tmp_path: Path) -> None:
    settings = {"FLYTE_TIMER_CONFIG": config(every="1h"), "FLYTE_TIMER_STATE": str(tmp_path / "ticks.json")}
    start_pack("timer", stub.url, **settings)
    stub.wait_for("packs")
    second = start_pack("timer", stub.url, **settings)
    assert second.exit_code() == 2
    assert "is in use by another process" in second.log[-1]
