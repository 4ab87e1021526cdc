"""A pack built on `flyte_client` that keeps a journal: `python -m tests.faults.client_pack NAME`."""

import os
import random
import sys
from collections.abc import Callable
from typing import Any

import flyte_client.pack
from flyte_client import Event, Pack, run
from flyte_client.transport.api_client import ApiClient
from tests.faults.flows import RESULTS, commands_of
from tests.faults.handlers import handle, hooks
from tests.faults.journal import SEED_VARIABLE, own_journal

JOURNAL = own_journal()
CHANCE = random.Random(os.environ[SEED_VARIABLE])


class NotingApi(ApiClient):
    """A client of the API that writes each call into the journal."""

    def __init__(self, token: str | None, timeout: float) -> None:
        super().__init__(token, timeout)
        for client in (self._http, self._poll_http):
            client.event_hooks = hooks(JOURNAL)


def handler(name: str) -> Callable[[Any], Event]:
    def work(action_input: Any) -> Event:
        event, payload = handle(JOURNAL, CHANCE, action_input)
        return Event(event, payload)

    work.__name__ = name
    return work


def main(name: str) -> int:
    flyte_client.pack.ApiClient = NotingApi  # type: ignore[attr-defined]
    pack = Pack(name, concurrency=4)
    for command in commands_of(name):
        pack.command(command, events=[RESULTS[command]])(handler(command))
    return run(pack)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
