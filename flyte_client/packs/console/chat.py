"""A chat in a terminal, in the shapes of the original's Slack pack."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from flyte_client.errors import FlyteError
from flyte_client.events import Event
from flyte_client.pack import Pack

CHUNK_SIZE = 65536


@dataclass(frozen=True)
class ChatUser:
    """Who types, and in which channel."""

    channel: str
    user_id: str
    user_name: str

    def build_payload(self, text: str, timestamp: str) -> dict[str, Any]:
        """The payload of `ReceivedMessage`; outside a thread its time is the message's own, as Slack's pack has it."""
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
    """Slack's times: seconds with six decimals, as text, never the same twice, since they name a message."""

    def __init__(self) -> None:
        self._last_microseconds = 0

    def next_timestamp(self) -> str:
        self._last_microseconds = max(self._last_microseconds + 1, time.time_ns() // 1000)
        return f"{self._last_microseconds // 1_000_000}.{self._last_microseconds % 1_000_000:06d}"


def build_console_pack(name: str, output: TextIO) -> Pack:
    """The pack that prints on `screen` what it is told to send."""
    pack = Pack(name)
    pack.event("ReceivedMessage")
    write_lock = threading.Lock()

    @pack.command("SendMessage", events=["MessageSent", "SendMessageFailed"])
    def send_message(command_input: Any) -> Event:
        fields = command_input if isinstance(command_input, dict) else {}
        message = {key: fields.get(key, "") for key in ("message", "channelId", "threadTimestamp")}
        missing = [key for key in ("message", "channelId") if not (isinstance(message[key], str) and message[key])]
        if missing:
            return Event("SendMessageFailed", {**message, "error": f"missing: {', '.join(missing)}"})
        with write_lock:
            output.write(_format_message(message["channelId"], message["message"]))
            output.flush()
        return Event("MessageSent", message)

    return pack


def read_lines(input_fd: int, stop_fd: int) -> Iterator[str]:
    """Lines from the file descriptor `source`, without their line breaks, until it ends or `end` becomes readable."""
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
    """Send each line that isn't blank as an event; call `at_end` after the last."""
    clock = MessageClock()
    for line in lines:
        if not line.strip():
            continue
        try:
            pack.send("ReceivedMessage", user.build_payload(line, clock.next_timestamp()))
        except FlyteError as error:
            print(f"{pack.name}: the message was not sent: {error}", file=sys.stderr)
    on_eof()


def _format_message(channel: str, message: str) -> str:
    """The message with its channel before each line, and nothing in it that could steer the terminal."""
    lines = message.removesuffix("\n").split("\n")
    return "".join(f"[{_replace_unprintable(channel)}] {_replace_unprintable(line)}\n" for line in lines)


def _replace_unprintable(text: str) -> str:
    characters = (character if character.isprintable() or character == "\t" else "\ufffd" for character in text)
    return "".join(characters)
