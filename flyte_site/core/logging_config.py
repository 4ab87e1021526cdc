"""One way to log for every process: constant event names with fields, `event_received pack=Slack event=Said`."""

import logging
import re
from typing import Any

import structlog

from flyte_site.core.safe_tracebacks import redact_exception

SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

INVALID_REQUEST = re.compile(r"(Invalid request from ip=\S*: .*?):? ?b?['\"].*", re.DOTALL)


def get_renderer(log_format: str) -> Any:
    """What makes a line of an event's fields."""
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False)


class InvalidRequestFilter(logging.Filter):
    """gunicorn quotes what is no HTTP, where a token may stand: the log gets what is wrong with it, and from where."""

    def filter(self, record: logging.LogRecord) -> bool:
        if match := INVALID_REQUEST.match(record.getMessage()):
            record.msg, record.args = match[1], ()
        return True


def build_logging_config(level: str, file: str, log_format: str = "text") -> dict[str, Any]:
    """The `logging.dictConfig` dictionary: to `file` where one is named (appended, reopened after rotation), else to
    standard error. Loggers of structlog and of the standard library come out in the same form: `text`, a line
    of `field=value`, or `json`, a line that is a JSON object."""
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
    target: dict[str, Any] = {"class": "logging.StreamHandler"}
    if file:
        target = {"class": "logging.handlers.WatchedFileHandler", "filename": file, "encoding": "utf-8"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*processors, structlog.stdlib.ExtraAdder(allow=())],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    get_renderer(log_format),
                ],
            }
        },
        "filters": {"unquoted": {"()": InvalidRequestFilter}},
        "handlers": {"out": {**target, "formatter": "line"}},
        "root": {"handlers": ["out"], "level": level},
        "loggers": {
            # gunicorn installs its own handlers unless told otherwise; the access log is of use when looking closely.
            "gunicorn.error": {"handlers": [], "level": level, "propagate": True, "filters": ["unquoted"]},
            "gunicorn.access": {"handlers": [], "level": "INFO" if level == "DEBUG" else "WARNING", "propagate": True},
            # One line for each request that is sent, with its URL.
            "httpx": {"level": "WARNING"},
            # From where somebody tried wrong passwords stands in its warnings; what it cleans up is nobody's concern.
            "axes": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            # Anybody can send a wrong `Host`; each would log a traceback.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }
