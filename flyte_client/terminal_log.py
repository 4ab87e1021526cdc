"""Log lines for people: the format of server and packs if the log goes to a terminal.

`format_line` turns the fields of a log line into `08:06:21 ← event   Console Said  execution=…30bb3d`: local time, an
arrow for what this process received (←) or sent (→), the parties, and the other fields. Ids are cut to their last
characters, which differ most. Uses only the standard library, so that packs need no other package.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Protocol

from flyte_formats.characters import escape_control_characters

SHORT_ID_LENGTH = 8
# A field that is always an id, or a list of them with spaces between.
ID_FIELDS = {"action", "execution", "executions", "request_id", "trace_id"}
# Fields of every line that a person at the terminal does not need.
HIDDEN_FIELDS = {"timestamp", "level", "logger", "event", "exception", "reason"}
LABEL_WIDTH = 7

RESET, BOLD, DIM, RED, GREEN, YELLOW, MAGENTA, CYAN = (f"\x1b[{code}m" for code in (0, 1, 2, 31, 32, 33, 35, 36))
LEVEL_COLORS = {"debug": DIM, "warning": YELLOW, "error": RED, "critical": RED}


class TerminalStream(Protocol):
    """The methods of a text stream that are asked if it is a terminal."""

    def isatty(self) -> bool: ...


@dataclass(frozen=True)
class Transfer:
    """An event that was received or sent: its arrow, its label, and the fields that are printed without their names."""

    arrow: str
    label: str
    color: str
    parties: tuple[str, ...]


SERVER_TRANSFERS = {
    "event_received": Transfer("←", "event", GREEN, ("pack", "event_name")),
    "action_taken": Transfer("→", "action", CYAN, ("pack", "command")),
    "result_received": Transfer("←", "result", MAGENTA, ("pack", "event_name")),
}
PACK_TRANSFERS = {
    "event_sent": Transfer("→", "event", GREEN, ("pack", "event_name")),
    "action_taken": Transfer("←", "action", CYAN, ("command",)),
    "action_done": Transfer("→", "result", MAGENTA, ("command", "event_name")),
}


# A warning whose reason is a sentence that says it all: it is printed instead of the name.
SENTENCE_EVENTS = {"server_away"}


def is_terminal(stream: TerminalStream) -> bool:
    """Return True if the stream is a terminal that shows lines to a person."""
    return hasattr(stream, "isatty") and stream.isatty()


def supports_color(environment: Mapping[str, str] = os.environ) -> bool:
    """Return False if the user turned colors off (https://no-color.org), or for a terminal without any."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def format_line(fields: Mapping[str, Any], time: datetime, zone: tzinfo | None, *, colored: bool) -> str:
    """Format the fields of a log line: `event`, `level`, `logger`, perhaps `exception`, and any others.

    Control characters are escaped, so that a name that a caller chose can't send commands to the terminal. `zone` is
    that of the printed time; None is the machine's.
    """
    paint = _paint if colored else _leave_plain
    level = str(fields.get("level", "info"))
    transfers = PACK_TRANSFERS if str(fields.get("logger", "")).startswith("flyte_client") else SERVER_TRANSFERS
    transfer = transfers.get(str(fields.get("event")))
    if transfer:
        head = _format_transfer(transfer, fields, paint)
        remaining = {key: value for key, value in fields.items() if key not in transfer.parties}
    else:
        color = LEVEL_COLORS.get(level, "")
        label = f"{level}: " if level in ("warning", "error", "critical") else ""
        text, remaining = _format_event(fields)
        head = f"{paint('·', DIM)} {paint(label + text, color)}"
    parts = [paint(f"{time.astimezone(zone):%H:%M:%S}", DIM), head, *_format_fields(remaining, paint)]
    exception = f"\n{_escape_lines(str(fields['exception']))}" if fields.get("exception") else ""
    return " ".join(part for part in parts if part) + exception


def _format_event(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Format the name of an event, or its reason as a sentence; return it with the other fields."""
    remaining = dict(fields)
    if fields.get("event") not in SENTENCE_EVENTS or not fields.get("reason"):
        return _escape(fields.get("event")), remaining
    sentence = _escape(remaining.pop("reason"))
    wait = remaining.pop("wait_s", None)
    return (sentence if wait is None else f"{sentence}; retrying in {_escape(wait)} s"), remaining


def _format_transfer(transfer: Transfer, fields: Mapping[str, Any], paint: Any) -> str:
    color = RED if fields.get("event_name") == "FATAL" else transfer.color
    parties = " ".join(_escape(fields[name]) for name in transfer.parties if name in fields)
    return f"{paint(f'{transfer.arrow} {transfer.label:{LABEL_WIDTH}}', color)}{paint(parties, BOLD)}"


def _format_fields(fields: Mapping[str, Any], paint: Any) -> Iterator[str]:
    """Format the fields that are not part of the head: first `reason`, which is a sentence and needs no name."""
    if reason := fields.get("reason"):
        yield f"{paint('–', DIM)} {paint(_escape(reason), YELLOW)}"
    for name, value in fields.items():
        if name not in HIDDEN_FIELDS and value not in (None, "") and (name, value) != ("outcome", "counted"):
            text = shorten_ids(str(value)) if name in ID_FIELDS else _escape(value)
            yield paint(f"{name}={_quote(text)}", DIM)


def shorten_ids(text: str) -> str:
    """Cut each id of the text to its last characters."""
    return " ".join(
        f"…{_escape(word[-SHORT_ID_LENGTH:])}" if len(word) > SHORT_ID_LENGTH + 1 else _escape(word)
        for word in text.split()
    )


def _quote(text: str) -> str:
    return f'"{text}"' if " " in text or not text else text


def _escape(value: object) -> str:
    return escape_control_characters(str(value))


def _escape_lines(text: str) -> str:
    return "\n".join(_escape(line.replace("\t", "    ")) for line in text.split("\n"))


def _paint(text: str, color: str) -> str:
    return f"{color}{text}{RESET}" if color and text else text


def _leave_plain(text: str, _: str) -> str:
    return text
