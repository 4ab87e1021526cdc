"""The Timer pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.configuration import ConfigSection, check_unique_names, read_sections
from flyte_client.packs.timer.schedule import CronSchedule, IntervalSchedule, TimerSchedule

TIMER_KEYS = ("name", "cron", "every", "timezone", "event", "catchUp", "data")
MAX_TIMERS = 200
MAX_CATCH_UP = 1000
MAX_INTERVAL = 366 * 86400


@dataclass(frozen=True)
class Timer:
    """A schedule, and the event for its ticks; up to `catch_up` missed ticks are sent later."""

    name: str
    schedule: TimerSchedule
    timezone: ZoneInfo
    event: str
    catch_up: int
    data: Any


@dataclass(frozen=True)
class TimerSettings:
    """The timers, and the file for their last ticks, or None."""

    timers: tuple[Timer, ...]
    state_path: Path | None


def read_settings(environment: Mapping[str, str]) -> TimerSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    default_timezone = variables.read_text(environment, "FLYTE_TIMER_TIMEZONE", "UTC")
    timers = [
        (section, _parse_timer(section, default_timezone))
        for section in read_sections(environment, "FLYTE_TIMER", "timers", TIMER_KEYS, MAX_TIMERS)
    ]
    check_unique_names([(section, timer.name) for section, timer in timers])
    state = variables.read_text(environment, "FLYTE_TIMER_STATE")
    for section, timer in timers:
        if timer.catch_up and not state:
            raise section.setting_error("catchUp", "requires FLYTE_TIMER_STATE, a file that records the last ticks")
    return TimerSettings(tuple(timer for _, timer in timers), Path(state) if state else None)


def _parse_timer(section: ConfigSection, default_timezone: str) -> Timer:
    timezone = _parse_timezone(section, section.get_text("timezone", default_timezone))
    return Timer(
        name=section.get_name("name"),
        schedule=_parse_schedule(section, timezone),
        timezone=timezone,
        event=section.get_name("event", "Tick"),
        catch_up=section.get_int("catchUp", 0, 0, MAX_CATCH_UP),
        data=section.get_json("data"),
    )


def _parse_schedule(section: ConfigSection, timezone: ZoneInfo) -> TimerSchedule:
    if section.has_value("cron") == section.has_value("every"):
        raise section.setting_error("cron", "set either `cron` or `every`")
    if section.has_value("every"):
        return IntervalSchedule(section.get_seconds("every", MAX_INTERVAL))
    try:
        return CronSchedule(section.get_text("cron"), timezone)
    except ValueError as error:
        raise section.setting_error("cron", str(error)) from None


def _parse_timezone(section: ConfigSection, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise SettingsError(
            f"{section.path}.timezone: unknown time zone {name!r}; use a name such as Europe/Berlin"
        ) from None
