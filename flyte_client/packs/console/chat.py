"""A chat in a terminal, with the same events and commands as the original's Slack pack."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flyte_client.errors import FlyteError
from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.console.terminal import OutputStream
from flyte_formats.characters import replace_control_characters

CHUNK_SIZE = 65536


@dataclass(frozen=True)
class ChatUser:
    """The user who types, and the channel."""

    channel: str
    user_id: str
    user_name: str

    def build_payload(self, text: str, timestamp: str) -> dict[str, Any]:
        """Build the payload of `ReceivedMessage`; outside a thread `threadTimestamp` is the message's timestamp."""
        first, _, last = self.user_name.partition(" ")
        return {
            "channelId": self.channel,
            "user": {
                "id": self.user_id,
                "name": self.user_name,
                "email": "",
                "title": "",
                "firstName": first,
                "lastName": last,
            },
            "message": text,
            "timestamp": timestamp,
            "threadTimestamp": timestamp,
            "replyCount": 0,
            "replies": [],
        }


class MessageClock:
    """Source of unique timestamps in Slack's format, text of seconds with six decimals, which identify messages."""

    def __init__(self) -> None:
        self._last_microseconds = 0

    def next_timestamp(self) -> str:
        self._last_microseconds = max(self._last_microseconds + 1, time.time_ns() // 1000)
        return f"{self._last_microseconds // 1_000_000}.{self._last_microseconds % 1_000_000:06d}"


def build_console_pack(name: str, output: OutputStream) -> Pack:
    """Build the pack that prints the messages of flows to `output`."""
    pack = Pack(name)
    pack.event("ReceivedMessage")
    write_lock = threading.Lock()

    @pack.command("SendMessage", events=["MessageSent", "SendMessageFailed"])
    def send_message(command_input: Any) -> Event:
        fields = command_input if isinstance(command_input, dict) else {}
        message = {key: fields.get(key, "") for key in ("message", "channelId", "threadTimestamp")}
        missing = [key for key in ("message", "channelId") if not (isinstance(message[key], str) and message[key])]
        if missing:
            return Event("SendMessageFailed", {**message, "error": f"required: {', '.join(missing)}"})
        with write_lock:
            output.write(_format_message(message["channelId"], message["message"]))
            output.flush()
        return Event("MessageSent", message)

    return pack


def read_lines(input_fd: int, stop_fd: int) -> Iterator[str]:
    """Yield the lines of `input_fd` without line breaks, until it ends or `stop_fd` becomes readable."""
    rest = b""
    while stop_fd not in select.select([input_fd, stop_fd], [], [])[0]:
        chunk = os.read(input_fd, CHUNK_SIZE)
        *lines, rest = (rest + chunk).split(b"\n")
        if not chunk:
            lines = [rest]
        yield from (line.decode(errors="replace").rstrip("\r") for line in lines)
        if not chunk:
            return


def send_lines(pack: Pack, lines: Iterator[str], user: ChatUser, on_eof: Callable[[], None]) -> None:
    """Send each non-blank line as an event; call `on_eof` after the last."""
    clock = MessageClock()
    for line in lines:
        if not line.strip():
            continue
        try:
            pack.send("ReceivedMessage", user.build_payload(line, clock.next_timestamp()))
        except FlyteError as error:
            print(f"{pack.name}: message not sent: {error}\n", end="", file=sys.stderr)
    on_eof()


def _format_message(channel: str, message: str) -> str:
    """Format a message with its channel before each line; replace control characters."""
    lines = message.removesuffix("\n").split("\n")
    return "".join(f"[{_make_harmless(channel)}] {_make_harmless(line)}\n" for line in lines)


def _make_harmless(text: str) -> str:
    """Replace characters that a terminal would interpret as commands."""
    return replace_control_characters(text, "\ufffd", allowed="\t")
