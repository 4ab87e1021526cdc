"""Logging of all processes: constant event names with fields, `event_received pack=Slack event=Said`."""

import logging
import os
import re
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from datetime import datetime, tzinfo
from logging.handlers import WatchedFileHandler
from typing import Any

import structlog
from django.utils.module_loading import import_string

from flyte_site.core.observability.safe_tracebacks import redact_exception

# Not a value of FLYTE_LOG_FORMAT: the format on a terminal if the variable is not set.
TERMINAL_FORMAT = "terminal"
# Shared with packs, and imported only on a terminal: the client's package takes over 0.1 s.
TERMINAL_MODULE = "flyte_client.terminal_log"

SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

INVALID_REQUEST = re.compile(r"(Invalid request from ip=\S*: .*?):? ?b?['\"].*", re.DOTALL)


def choose_log_format(setting: str, file: str) -> str:
    """Return `setting` if it is not empty; else the format for people on a terminal, and `text` for a file or pipe."""
    return setting or (TERMINAL_FORMAT if not file and sys.stderr.isatty() else "text")


def get_renderer(log_format: str, zone: tzinfo | None) -> Any:
    """Return structlog's last processor, which formats the fields of an event as a line."""
    if log_format == TERMINAL_FORMAT:
        return build_terminal_renderer(zone)
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False)


def build_terminal_renderer(zone: tzinfo | None) -> Callable[[Any, str, MutableMapping[str, Any]], str]:
    format_line = import_string(f"{TERMINAL_MODULE}.format_line")
    colored = import_string(f"{TERMINAL_MODULE}.supports_color")()

    def render(_: Any, __: str, event_dict: MutableMapping[str, Any]) -> str:
        time = datetime.fromisoformat(event_dict["timestamp"])
        line: str = format_line(event_dict, time, zone, colored=colored)
        return line

    return render


class PrivateFileHandler(WatchedFileHandler):
    """A log file that is readable by its owner only. It is created again if another program moves it."""

    def _open(self) -> Any:
        with suppress(OSError):
            os.close(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return super()._open()


class FailedRequestFilter(logging.Filter):
    """Filter that removes Django's line about a response with a status of 5xx, which the server has logged before.

    An exception that no part of the server has handled stays.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


class InvalidRequestFilter(logging.Filter):
    """Filter that removes gunicorn's quotes of invalid requests, which may contain tokens; error and address stay."""

    def filter(self, record: logging.LogRecord) -> bool:
        if match := INVALID_REQUEST.match(record.getMessage()):
            record.msg, record.args = match[1], ()
        return True


def build_logging_config(level: str, file: str, log_format: str = "text", zone: tzinfo | None = None) -> dict[str, Any]:
    """Build the `logging.dictConfig` dictionary.

    The log goes to `file` if set (appended, reopened after rotation), else to standard error. Loggers of structlog and
    of the standard library have the same format: `text`, lines of `field=value`; `json`, lines that are JSON objects;
    or `terminal`, lines for people with times in `zone`.
    """
    processors = [*SHARED_PROCESSORS, structlog.processors.format_exc_info if level == "DEBUG" else redact_exception]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # gunicorn's lines about its start add nothing to those of the server for a person.
    gunicorn_level = "WARNING" if log_format == TERMINAL_FORMAT and level == "INFO" else level
    target: dict[str, Any] = {"class": "logging.StreamHandler"}
    if file:
        target = {"()": PrivateFileHandler, "filename": file, "encoding": "utf-8"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*processors, structlog.stdlib.ExtraAdder(allow=())],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    get_renderer(log_format, zone),
                ],
            }
        },
        "filters": {"unquoted": {"()": InvalidRequestFilter}, "unhandled": {"()": FailedRequestFilter}},
        "handlers": {"out": {**target, "formatter": "line"}},
        "root": {"handlers": ["out"], "level": level},
        "loggers": {
            # Without an entry, gunicorn installs its own handlers. The access log is for debugging only.
            "gunicorn.error": {"handlers": [], "level": gunicorn_level, "propagate": True, "filters": ["unquoted"]},
            "gunicorn.access": {"handlers": [], "level": "INFO" if level == "DEBUG" else "WARNING", "propagate": True},
            # It logs the URL of each request at INFO.
            "httpx": {"level": "WARNING"},
            # Its warnings are about wrong passwords, which `sign_in_failed` logs with the address.
            "axes": {"level": "ERROR"},
            "django.request": {"level": "ERROR", "filters": ["unhandled"]},
            # Anyone can send a wrong `Host`, and each would log a traceback.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }
