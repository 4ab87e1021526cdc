"""Filters for times and durations. They read times as text or numbers in all common formats."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.utils.timesince import timesince, timeuntil

from flows.template.errors import OperationError
from flows.template.filters.base import Filter, FilterFunc, make_bound_filter
from flows.template.runtime.go_time import format_go_or_django
from flows.template.runtime.numbers import quote_text
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.resolve import get_type_name
from flows.template.runtime.values import is_number, to_text
from flyte_time.cron import CronExpression, parse_cron
from flyte_time.durations import parse_duration
from flyte_time.times import read_time

MAX_ZONE_NAME_LENGTH = 100


def to_time(filter_name: str, value: object, render_context: RenderContext) -> datetime:
    """Convert a time, a text or a number of seconds since 1970 to a time; warn if the text has no time zone."""
    if not isinstance(value, datetime | str) and not is_number(value):
        raise OperationError(f"{filter_name} needs a time, not {get_type_name(value)}")
    try:
        parsed = read_time(value)
    except ValueError as error:
        raise OperationError(f"{filter_name} needs a time: {error}") from None
    if parsed.is_naive and isinstance(value, str) and render_context.collects_warnings:
        render_context.warn(f"the time {quote_text(value)} has no time zone and is read as UTC")
    return parsed.moment


def _make_date_filter(name: str) -> Filter:
    def format_date(value: object, argument: object, render_context: RenderContext) -> object:
        return format_go_or_django(to_time(name, value, render_context), to_text(argument))

    return Filter(name, format_date)


def _make_distance_filter(name: str, describe: Callable[[datetime, datetime], str]) -> Filter:
    def describe_distance(value: object, argument: object, render_context: RenderContext) -> object:
        reference = datetime.now(UTC) if argument is None else to_time(name, argument, render_context)
        # `str.__str__` removes Django's mark for safe HTML, which `str` would keep.
        return str.__str__(describe(to_time(name, value, render_context), reference))

    return Filter(name, describe_distance)


def _find_zone(argument: object) -> ZoneInfo:
    name = to_text(argument).strip()
    try:
        if not name or len(name) > MAX_ZONE_NAME_LENGTH:
            raise ValueError
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise OperationError(f"unknown time zone {quote_text(name)}; use a name such as Europe/Berlin") from None


def _convert_to_zone(zone: ZoneInfo, value: object, render_context: RenderContext) -> datetime:
    try:
        return to_time("timezone", value, render_context).astimezone(zone)
    except OverflowError:
        raise OperationError("time is out of range: a year must be from 1 to 9999") from None


def _bind_timezone(argument: object) -> FilterFunc:
    zone = _find_zone(argument)
    return lambda value, _, render_context: _convert_to_zone(zone, value, render_context)


def _duration(value: object, argument: object, render_context: RenderContext) -> object:
    """Return a duration in seconds."""
    if not isinstance(value, str) and not is_number(value):
        raise OperationError(f"duration needs a string such as 1h30m, not {get_type_name(value)}")
    try:
        seconds = parse_duration(value).total_seconds()
    except ValueError as error:
        raise OperationError(str(error)) from None
    return int(seconds) if seconds.is_integer() else seconds


def _parse_cron(argument: object) -> CronExpression:
    try:
        return parse_cron(to_text(argument), allow_seconds_and_year=True)
    except ValueError as error:
        raise OperationError(str(error)) from None


def _cron_matches(cron: CronExpression, value: object, render_context: RenderContext) -> bool:
    """Match a text, or a time that `timezone` returned. An event's own time is an error, as in the original."""
    if isinstance(value, datetime) and not isinstance(value.tzinfo, ZoneInfo):
        raise OperationError("matchesCron needs to know the time zone: write timezone:'Europe/Berlin'|matchesCron:…")
    return cron.matches(to_time("matchesCron", value, render_context))


def _bind_matches_cron(argument: object) -> FilterFunc:
    cron = _parse_cron(argument)
    return lambda value, _, render_context: _cron_matches(cron, value, render_context)


TIME_FILTERS = (
    _make_date_filter("date"),
    _make_date_filter("time"),
    _make_distance_filter("timesince", timesince),
    _make_distance_filter("timeuntil", timeuntil),
    make_bound_filter("timezone", _bind_timezone, cost=100),
    Filter("duration", _duration),
    make_bound_filter("matchesCron", _bind_matches_cron, cost=100),
)
