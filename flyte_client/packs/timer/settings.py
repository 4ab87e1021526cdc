"""The Timer pack's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.basis.configuration import Section, check_unique, sections
from flyte_client.packs.timer.schedule import Cron, Interval, Schedule

KNOWN = ("name", "cron", "every", "timezone", "event", "catchUp", "data")
MOST_TIMERS = 200
MOST_CAUGHT_UP = 1000
LONGEST_INTERVAL = 366 * 86400


@dataclass(frozen=True)
class Timer:
    """A schedule, and what is sent at each of its ticks; up to `catch_up` of those missed are made up for."""

    name: str
    schedule: Schedule
    zone: ZoneInfo
    event: str
    catch_up: int
    data: Any


@dataclass(frozen=True)
class Settings:
    """`state` is where the last ticks are noted, None where nothing needs to be."""

    timers: tuple[Timer, ...]
    state: Path | None


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    default_zone = variables.text(environment, "FLYTE_TIMER_TIMEZONE", "UTC")
    found = [
        (section, _timer(section, default_zone))
        for section in sections(environment, "FLYTE_TIMER", "timers", KNOWN, MOST_TIMERS)
    ]
    check_unique([(section, timer.name) for section, timer in found])
    state = variables.text(environment, "FLYTE_TIMER_STATE")
    for section, timer in found:
        if timer.catch_up and not state:
            raise section.wrong("catchUp", "needs FLYTE_TIMER_STATE, a file to note the last ticks in")
    return Settings(tuple(timer for _, timer in found), Path(state) if state else None)


def _timer(section: Section, default_zone: str) -> Timer:
    zone = _zone(section, section.text("timezone", default_zone))
    return Timer(
        name=section.name("name"),
        schedule=_schedule(section, zone),
        zone=zone,
        event=section.name("event", "Tick"),
        catch_up=section.whole("catchUp", 0, 0, MOST_CAUGHT_UP),
        data=section.data("data"),
    )


def _schedule(section: Section, zone: ZoneInfo) -> Schedule:
    if section.has("cron") == section.has("every"):
        raise section.wrong("cron", "either this or `every` must be given")
    if section.has("every"):
        return Interval(section.seconds("every", LONGEST_INTERVAL))
    try:
        return Cron(section.text("cron"), zone)
    except ValueError as error:
        raise section.wrong("cron", str(error)) from None


def _zone(section: Section, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise SettingsError(
            f"{section.where}.timezone: {name!r} is not a time zone that is known here, such as Europe/Berlin"
        ) from None
