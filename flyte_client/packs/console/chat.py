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

CHUNK = 65536


@dataclass(frozen=True)
class Speaker:
    """Who types, and in which channel."""

    channel: str
    user_id: str
    user_name: str

    def says(self, text: str, timestamp: str) -> dict[str, Any]:
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


class Clock:
    """Slack's times: seconds with six decimals, as text, never the same twice, since they name a message."""

    def __init__(self) -> None:
        self._last = 0

    def stamp(self) -> str:
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"


def console_pack(name: str, screen: TextIO) -> Pack:
    """The pack that prints on `screen` what it is told to send."""
    pack = Pack(name)
    pack.event("ReceivedMessage")
    writing = threading.Lock()

    @pack.command("SendMessage", events=["MessageSent", "SendMessageFailed"])
    def send_message(given: Any) -> Event:
        fields = given if isinstance(given, dict) else {}
        message = {key: fields.get(key, "") for key in ("message", "channelId", "threadTimestamp")}
        missing = [key for key in ("message", "channelId") if not (isinstance(message[key], str) and message[key])]
        if missing:
            return Event("SendMessageFailed", {**message, "error": f"missing: {', '.join(missing)}"})
        with writing:
            screen.write(_printed(message["channelId"], message["message"]))
            screen.flush()
        return Event("MessageSent", message)

    return pack


def typed_lines(source: int, end: int) -> Iterator[str]:
    """Lines from the file descriptor `source`, without their line breaks, until it ends or `end` becomes readable."""
    rest = b""
    while end not in select.select([source, end], [], [])[0]:
        chunk = os.read(source, CHUNK)
        *lines, rest = (rest + chunk).split(b"\n")
        if not chunk:
            lines = [rest]
        yield from (line.decode(errors="replace").rstrip("\r") for line in lines)
        if not chunk:
            return


def listen(pack: Pack, lines: Iterator[str], speaker: Speaker, at_end: Callable[[], None]) -> None:
    """Send each line that isn't blank as an event; call `at_end` after the last."""
    clock = Clock()
    for line in lines:
        if not line.strip():
            continue
        try:
            pack.send("ReceivedMessage", speaker.says(line, clock.stamp()))
        except FlyteError as error:
            print(f"{pack.name}: the message was not sent: {error}", file=sys.stderr)
    at_end()


def _printed(channel: str, message: str) -> str:
    """The message with its channel before each line, and nothing in it that could steer the terminal."""
    lines = message.removesuffix("\n").split("\n")
    return "".join(f"[{_plain(channel)}] {_plain(line)}\n" for line in lines)


def _plain(text: str) -> str:
    shown = (character if character.isprintable() or character == "\t" else "\ufffd" for character in text)
    return "".join(shown)
