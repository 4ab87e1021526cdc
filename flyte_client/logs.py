"""Logging of a pack: lines for people on a terminal, else text or one JSON object per line like the server's log.

The library logs `name field=%s other=%r`: the event name, and fields. In JSON such a record has the fields with their
values; any other record, of a handler or of another library, has its whole message in `event`. Uses only the standard
library.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.terminal_log import format_line, is_terminal, supports_color

LOG_FORMATS = ("text", "json")
LEVEL_ALIASES = {"WARN": "WARNING", "FATAL": "CRITICAL"}
TEXT_FORMAT = "%(asctime)s %(levelname)s %(message)s"
# Same names as in the server's log, where `event` is the name of the log event.
RENAMED_FIELDS = {"event": "event_name"}

EVENT_LINE = re.compile(r"[a-z][a-z0-9_]*( (%s|[a-z_]+=\S+))*", re.ASCII)
_CONVERSION = re.compile(r"%(?:\.\d+)?[srdf]")


class JSONLineFormatter(logging.Formatter):
    """Formatter for one JSON object per record, with the same field names as the server's log."""

    def format(self, record: logging.LogRecord) -> str:
        line = {**_extract_fields(record), "level": record.levelname.lower(), "logger": record.name}
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line["timestamp"] = line["timestamp"].replace("+00:00", "Z")
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TerminalFormatter(logging.Formatter):
    """Formatter for people at a terminal, with the same lines as the server's."""

    def __init__(self, *, colored: bool) -> None:
        super().__init__()
        self._colored = colored

    def format(self, record: logging.LogRecord) -> str:
        fields = {**_extract_fields(record), "level": record.levelname.lower(), "logger": record.name}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return format_line(fields, datetime.fromtimestamp(record.created, UTC), None, colored=self._colored)


def configure_logging(environment: Mapping[str, str]) -> None:
    """Configure logging from `LOGLEVEL` (INFO), `LOGFILE` (standard error) and `FLYTE_LOG_FORMAT`.

    Without a format, lines on a terminal are for people, and all others are text.

    Raises `SettingsError` for an unknown level or format, and for a file that can't be written.
    """
    name = environment.get("LOGLEVEL", "").strip().upper() or "INFO"
    level = LEVEL_ALIASES.get(name, name)
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOGLEVEL: invalid value {name!r}, must be one of DEBUG, INFO, WARNING, ERROR, FATAL")
    file = environment.get("LOGFILE", "").strip()
    formatter = _build_formatter(environment.get("FLYTE_LOG_FORMAT", "").strip(), is_for_people=not file)
    handler = _build_handler(file)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    # httpx logs every poll at INFO, which is too much except at DEBUG.
    logging.getLogger("httpx").setLevel(logging.WARNING if level == "INFO" else level)


def _build_formatter(name: str, *, is_for_people: bool) -> logging.Formatter:
    if name and name.lower() not in LOG_FORMATS:
        raise SettingsError(f"FLYTE_LOG_FORMAT: invalid value {name!r}, must be one of {', '.join(LOG_FORMATS)}")
    if not name and is_for_people and is_terminal(sys.stderr):
        return TerminalFormatter(colored=supports_color())
    return JSONLineFormatter() if name.lower() == "json" else logging.Formatter(TEXT_FORMAT)


def _build_handler(file: str) -> logging.Handler:
    if not file:
        return logging.StreamHandler(sys.stderr)
    try:
        return logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SettingsError(f"LOGFILE: can't write to {file!r} ({error.strerror})") from None


def _extract_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return the record's `event` and its other fields."""
    message_only = {"event": record.getMessage()}
    template, values = record.msg, record.args or ()
    if not isinstance(template, str) or not isinstance(values, tuple) or not EVENT_LINE.fullmatch(template):
        return message_only
    if len(_CONVERSION.findall(template)) != len(values):
        return message_only
    name, *parts = template.split(" ")
    fields: dict[str, Any] = {}
    remaining = iter(values)
    for part in parts:
        key, _, conversion = part.partition("=")
        if conversion:
            fields[RENAMED_FIELDS.get(key, key)] = _format_value(conversion, remaining)
        elif (log_fields := getattr(next(remaining), "log_fields", None)) is not None:
            fields |= log_fields
        else:
            return message_only
    return {**fields, "event": name}


def _format_value(conversion: str, remaining: Iterator[object]) -> Any:
    """Return a field's value: numbers, booleans and None unchanged, `%.1f` rounded, anything else as text."""
    values = tuple(next(remaining) for _ in _CONVERSION.findall(conversion))
    if not _CONVERSION.fullmatch(conversion):
        return conversion % values
    (value,) = values
    if conversion.endswith("f"):
        return float(conversion % value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
