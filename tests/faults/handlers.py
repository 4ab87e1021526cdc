"""What the soak's packs do with an action, and what they note of their talk with the server."""

import json
import random
import re
import secrets
import time
from typing import Any

import httpx

from tests.faults.flows import FATAL, RESULTS
from tests.faults.journal import Journal

FATAL_SHARE = 0.08
# How long runs take, at least and at most, and how often each: the last is longer than the lease of most steps, and the
# one before long enough to be under way when the result of such an earlier attempt comes.
TAKES_SECONDS = ((0.0, 0.1), (0.5, 1.9), (2.2, 4.5))
SHARES = (88, 8, 4)

# Commands that always end well, so that most executions get past their first step.
STEADY = ("start",)

RESULT_PATH = re.compile(r"/actions/([^/]+)/result$")


def handle(journal: Journal, chance: random.Random, action_input: Any) -> tuple[str, dict[str, Any]]:
    """Run a command: gives the result's event name and payload; each run's payload is unique."""
    key, step, run = action_input["key"], action_input["step"], secrets.token_hex(6)
    journal.note("began", key=key, step=step, run=run)
    (seconds,) = chance.choices(TAKES_SECONDS, SHARES)
    fatal = chance.random() < FATAL_SHARE and step not in STEADY
    time.sleep(chance.uniform(*seconds))
    journal.note("ended", key=key, step=step, run=run)
    return FATAL if fatal else RESULTS[step], {"key": key, "step": step, "run": run}


def hooks(journal: Journal) -> dict[str, Any]:
    """What an httpx client calls before each request and on each answer, for the journal."""
    return {
        "request": [lambda request: note_request(journal, request)],
        "response": [lambda response: note_answer(journal, response)],
    }


def note_request(journal: Journal, request: httpx.Request) -> None:
    if RESULT_PATH.search(request.url.path):
        journal.note("result_sent", **result_in(request))


def note_answer(journal: Journal, response: httpx.Response) -> None:
    """Raises what httpx raises where the answer breaks off."""
    what = purpose(response.request.url)
    if what == "take" and response.status_code == 204:
        return
    if what == "result":
        journal.note("result_answered", status=response.status_code, **result_in(response.request))
    elif what == "take" and response.status_code == 200:
        response.read()
        journal.note("taken", **taken_in(response.json()))
    journal.note("answer", to=what, status=response.status_code)


def purpose(url: httpx.URL) -> str:
    """Which of the API's doors an address is."""
    last = url.path.rpartition("/")[2]
    return last if last in ("take", "result", "events", "heartbeat", "packs", "cancel") else "other"


def result_in(request: httpx.Request) -> dict[str, Any]:
    """Action and attempt, and what was given as its result."""
    body = json.loads(request.content)
    return action_at(request.url) | {"event": body["event"], "payload": body["payload"]}


def action_at(url: httpx.URL) -> dict[str, Any]:
    """The action that a result's address is of, and the attempt."""
    found = RESULT_PATH.search(url.path)
    if not found:
        raise ValueError(f"{url} is no result's address")
    return {"action": found[1], "attempt": int(url.params.get("attempt", "1"))}


def taken_in(document: Any) -> dict[str, Any]:
    """What a take gave."""
    return action_at(result_link(document)) | {"key": document["input"]["key"], "step": document["input"]["step"]}


def result_link(document: Any) -> httpx.URL:
    """Where the result of a taken action goes."""
    return httpx.URL(next(link["href"] for link in document["links"] if link["rel"].endswith("actionResult")))
