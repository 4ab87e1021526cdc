"""Where a pack's log goes and what its lines look like: text, or a JSON object a line as the server's.

The library logs `name field=%s other=%r`: the name of what happened, and fields. Of such a line the JSON has the fields
as they were given; of any other line, a handler's own or a library's, all of it is `event`. No dependency but Python's.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flyte_client.errors import SettingsError

FORMATS = ("text", "json")
LEVELS = {"WARN": "WARNING", "FATAL": "CRITICAL"}
TEXT = "%(asctime)s %(levelname)s %(message)s"
# The server's log calls these so: `event` is there what happened.
RENAMED = {"event": "event_name"}

LINE = re.compile(r"[a-z][a-z0-9_]*( (%s|[a-z_]+=\S+))*", re.ASCII)
_CONVERSION = re.compile(r"%(?:\.\d+)?[srdf]")


class JSONLines(logging.Formatter):
    """Each record as one JSON object, with the names of fields that the server's have."""

    def format(self, record: logging.LogRecord) -> str:
        line = {**_fields(record), "level": record.levelname.lower(), "logger": record.name}
        line["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line["timestamp"] = line["timestamp"].replace("+00:00", "Z")
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to(environment: Mapping[str, str]) -> None:
    """Log as `LOGLEVEL` (INFO), `LOGFILE` (standard error) and `FLYTE_LOG_FORMAT` (text) say.

    Raises `SettingsError` for an unknown level or form, and for a file that can't be written to.
    """
    name = environment.get("LOGLEVEL", "").strip().upper() or "INFO"
    level = LEVELS.get(name, name)
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOGLEVEL: is {name!r}, but must be one of DEBUG, INFO, WARNING, ERROR, FATAL")
    formatter = _formatter(environment.get("FLYTE_LOG_FORMAT", "").strip())
    handler = _handler(environment.get("LOGFILE", "").strip())
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    # httpx tells of every poll at INFO: that is our DEBUG.
    logging.getLogger("httpx").setLevel(logging.WARNING if level == "INFO" else level)


def _formatter(form: str) -> logging.Formatter:
    if form and form.lower() not in FORMATS:
        raise SettingsError(f"FLYTE_LOG_FORMAT: is {form!r}, but must be one of {', '.join(FORMATS)}")
    return JSONLines() if form.lower() == "json" else logging.Formatter(TEXT)


def _handler(file: str) -> logging.Handler:
    if not file:
        return logging.StreamHandler(sys.stderr)
    try:
        return logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"LOGFILE: is {file!r}, which can't be written to ({error.strerror})") from None


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """`event`, and what else the line tells in fields."""
    whole = {"event": record.getMessage()}
    template, values = record.msg, record.args or ()
    if not isinstance(template, str) or not isinstance(values, tuple) or not LINE.fullmatch(template):
        return whole
    if len(_CONVERSION.findall(template)) != len(values):
        return whole
    name, *parts = template.split(" ")
    fields: dict[str, Any] = {}
    left = iter(values)
    for part in parts:
        key, _, form = part.partition("=")
        if form:
            fields[RENAMED.get(key, key)] = _value(form, left)
        elif (named := getattr(next(left), "log_fields", None)) is not None:
            fields |= named
        else:
            return whole
    return {**fields, "event": name}


def _value(form: str, left: Iterator[object]) -> Any:
    """What a field holds: a number, a truth or nothing as it is, a number with few places so, all else as text."""
    values = tuple(next(left) for _ in _CONVERSION.findall(form))
    if not _CONVERSION.fullmatch(form):
        return form % values
    (value,) = values
    if form.endswith("f"):
        return float(form % value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
