"""A pack that calls the API as the original's clients do, with a journal: `python -m tests.faults.plain_pack NAME`.

It polls without waiting, works on one action at a time, sends no heartbeats, and tries a result only a few times.
"""

import os
import random
import signal
import sys
import time
from types import FrameType
from typing import Any

import httpx

from tests.faults.flows import commands_of
from tests.faults.handlers import handle, hooks, result_link
from tests.faults.journal import SEED_VARIABLE, Journal, own_journal

POLL_SECONDS = 0.15
PAUSE_SECONDS = 0.5
TRIES = 3
CALL_SECONDS = 15.0


class PlainPack:
    """A pack that registers, polls and works until SIGTERM."""

    def __init__(self, name: str, journal: Journal, chance: random.Random) -> None:
        self.name = name
        self.journal = journal
        self.chance = chance
        self.stopped = False
        self.http = httpx.Client(
            base_url=os.environ["FLYTE_API"], timeout=CALL_SECONDS, trust_env=False, event_hooks=hooks(journal)
        )

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopped = True

    def run(self) -> None:
        take = ""
        while not self.stopped:
            take = take or self.register()
            worked = bool(take) and self.take_and_work(take)
            if not worked:
                time.sleep(POLL_SECONDS if take else PAUSE_SECONDS)

    def register(self) -> str:
        """Register the pack; return the URL to take actions from, '' if the server does not respond."""
        answer = self.call("/v1/packs", {"name": self.name, "commands": commands(self.name)})
        if answer is None or answer.status_code != 201:
            return ""
        return next(str(link["href"]) for link in answer.json()["links"] if link["rel"].endswith("takeAction"))

    def take_and_work(self, take: str) -> bool:
        """Take an action and work on it; return False if there was none."""
        answer = self.call(take)
        if answer is None or answer.status_code != 200:
            return False
        document = answer.json()
        event, payload = handle(self.journal, self.chance, document["input"])
        self.send_result(result_link(document), {"event": event, "payload": payload})
        return True

    def send_result(self, link: httpx.URL, result: dict[str, Any]) -> None:
        for _ in range(TRIES):
            answer = self.call(link, result)
            if answer is not None and answer.status_code != 503:
                return
            time.sleep(PAUSE_SECONDS)

    def call(self, url: str | httpx.URL, body: Any = None) -> httpx.Response | None:
        try:
            return self.http.post(url, json=body) if body is not None else self.http.post(url)
        except httpx.TransportError as error:
            self.journal.note("no_answer", error=type(error).__name__, to=str(error.request.url))
            return None


def commands(name: str) -> list[dict[str, Any]]:
    return [{"name": command, "events": []} for command in commands_of(name)]


def main(name: str) -> None:
    pack = PlainPack(name, own_journal(), random.Random(os.environ[SEED_VARIABLE]))
    signal.signal(signal.SIGTERM, pack.stop)
    pack.run()


if __name__ == "__main__":
    main(sys.argv[1])
