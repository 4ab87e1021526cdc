"""The handler of the soak's packs, and the journal of their requests."""

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
# Ranges of a run's seconds, and the share of each. The third range exceeds the lease of most steps; the second is long
# enough that the run is still in progress when the late result of an earlier attempt arrives.
RUN_SECONDS = ((0.0, 0.1), (0.5, 1.9), (2.2, 4.5))
SHARES = (88, 8, 4)

# Commands that always succeed, so that most executions get past their first step.
STEADY = ("start",)

RESULT_PATH = re.compile(r"/actions/([^/]+)/result$")


def handle(journal: Journal, chance: random.Random, action_input: Any) -> tuple[str, dict[str, Any]]:
    """Run a command; return the result's event name and a payload that is unique to this run."""
    key, step, run = action_input["key"], action_input["step"], secrets.token_hex(6)
    journal.note("began", key=key, step=step, run=run)
    (seconds,) = chance.choices(RUN_SECONDS, SHARES)
    fatal = chance.random() < FATAL_SHARE and step not in STEADY
    time.sleep(chance.uniform(*seconds))
    journal.note("ended", key=key, step=step, run=run)
    return FATAL if fatal else RESULTS[step], {"key": key, "step": step, "run": run}


def hooks(journal: Journal) -> dict[str, Any]:
    """Return event hooks for an httpx client that write requests and responses into the journal."""
    return {
        "request": [lambda request: note_request(journal, request)],
        "response": [lambda response: note_answer(journal, response)],
    }


def note_request(journal: Journal, request: httpx.Request) -> None:
    if RESULT_PATH.search(request.url.path):
        journal.note("result_sent", **result_in(request))


def note_answer(journal: Journal, response: httpx.Response) -> None:
    """Note a response, but not an empty take. Raises the error of httpx if the response is cut off."""
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
    """Return the name of the endpoint that a URL belongs to."""
    last = url.path.rpartition("/")[2]
    return last if last in ("take", "result", "events", "heartbeat", "packs", "cancel") else "other"


def result_in(request: httpx.Request) -> dict[str, Any]:
    """Return the action, the attempt and the result of a request."""
    body = json.loads(request.content)
    return action_at(request.url) | {"event": body["event"], "payload": body["payload"]}


def action_at(url: httpx.URL) -> dict[str, Any]:
    """Return the action and the attempt in a result's URL, or raise ValueError."""
    match = RESULT_PATH.search(url.path)
    if not match:
        raise ValueError(f"{url} is no result's address")
    return {"action": match[1], "attempt": int(url.params.get("attempt", "1"))}


def taken_in(document: Any) -> dict[str, Any]:
    """Return the action, attempt, key and step of the response to a take."""
    return action_at(result_link(document)) | {"key": document["input"]["key"], "step": document["input"]["step"]}


def result_link(document: Any) -> httpx.URL:
    """Return the URL for the result of a taken action."""
    return httpx.URL(next(link["href"] for link in document["links"] if link["rel"].endswith("actionResult")))
