"""A program that cancels a running execution now and then: `python -m tests.faults.canceller SECONDS_BETWEEN`."""

import os
import random
import sys
import time

import httpx

from tests.faults.journal import SEED_VARIABLE, Journal, own_journal

CALL_SECONDS = 15.0
PAGE_SIZE = 20


def cancel_one(http: httpx.Client, journal: Journal, chance: random.Random) -> None:
    response = http.get("/v1/audit/flows", params={"state": "running", "limit": PAGE_SIZE})
    journal.note("answer", to="audit", status=response.status_code)
    running = response.json().get("flows", [])
    if not running:
        return
    execution = chance.choice(running)["correlationId"]
    journal.note("cancel_sent", execution=execution)
    answer = http.post(f"/v1/audit/flows/{execution}/cancel")
    journal.note("cancel_answered", execution=execution, status=answer.status_code)
    journal.note("answer", to="cancel", status=answer.status_code)


def main(between: float) -> None:
    journal, chance = own_journal(), random.Random(os.environ[SEED_VARIABLE])
    http = httpx.Client(base_url=os.environ["FLYTE_API"], timeout=CALL_SECONDS, trust_env=False)
    while True:
        time.sleep(chance.uniform(0.5, 1.5) * between)
        try:
            cancel_one(http, journal, chance)
        except httpx.TransportError as error:
            journal.note("no_answer", error=type(error).__name__, to=str(error.request.url))


if __name__ == "__main__":
    main(float(sys.argv[1]))
