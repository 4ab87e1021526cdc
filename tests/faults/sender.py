"""A program that sends events, each until the response is 202: `python -m tests.faults.sender NAME SECONDS_BETWEEN`.

Each event has an `Idempotency-Key`; some are sent again after their 202, like those of a pack that lost the response.
"""

import json
import os
import random
import secrets
import signal
import sys
import time
from types import FrameType

import httpx

from tests.faults.flows import HAPPENED, SOURCE
from tests.faults.journal import SEED_VARIABLE, Journal, own_journal

CALL_SECONDS = 15.0
PAUSE_SECONDS = (0.1, 0.5)
REPEAT_SHARE = 0.1


class Sender:
    """A sender of events that completes the current event after SIGTERM."""

    def __init__(self, name: str, journal: Journal, chance: random.Random) -> None:
        self.name = f"{name}-{secrets.token_hex(3)}"
        self.journal = journal
        self.chance = chance
        self.stopped = False
        self.http = httpx.Client(base_url=os.environ["FLYTE_API"], timeout=CALL_SECONDS, trust_env=False)

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopped = True

    def run(self, between: float) -> None:
        while self.post("/v1/packs", {"name": SOURCE, "events": [{"name": HAPPENED}]}) != 201:
            self.pause()
        count = 0
        while not self.stopped:
            count += 1
            self.send(f"{self.name}-{count}")
            time.sleep(self.chance.uniform(0, 2 * between))

    def send(self, key: str) -> None:
        """Send an event until the server responds, and now and then once more."""
        while self.send_once(key) in (0, 503):
            self.pause()
        if self.chance.random() < REPEAT_SHARE:
            self.send_once(key)

    def send_once(self, key: str) -> int:
        self.journal.note("event_sent", key=key)
        status = self.post(f"/v1/packs/{SOURCE}/events", {"event": HAPPENED, "payload": {"key": key}}, key)
        self.journal.note("event_answered", key=key, status=status)
        return status

    def post(self, path: str, body: object, key: str = "") -> int:
        """Send a request; return the status of the response, 0 without one."""
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        try:
            status = self.http.post(path, content=json.dumps(body), headers=headers).status_code
        except httpx.TransportError as error:
            self.journal.note("no_answer", error=type(error).__name__, to=str(error.request.url))
            return 0
        self.journal.note("answer", to=path.rpartition("/")[2], status=status)
        return status

    def pause(self) -> None:
        time.sleep(self.chance.uniform(*PAUSE_SECONDS))


def main(name: str, between: float) -> None:
    sender = Sender(name, own_journal(), random.Random(os.environ[SEED_VARIABLE]))
    signal.signal(signal.SIGTERM, sender.stop)
    sender.run(between)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
