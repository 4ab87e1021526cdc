"""Sample data of every kind on a server, so that random requests get other responses than 404."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.server import Server

PATIENCE = 20.0
PACK = "Schema"
FLOW: dict[str, Any] = {
    "name": "schema",
    "description": "asks, is answered, and fails",
    "labels": {"team": "red"},
    "steps": [
        {
            "id": "ask",
            "event": {"packName": PACK, "name": "Began"},
            "context": {"Who": "{{ Event.Payload.who }}"},
            "command": {"packName": PACK, "name": "Ask", "input": {"who": "{{ Context.Who }}"}, "timeout": "1h"},
        },
        {
            "id": "answer",
            "dependsOn": ["ask"],
            "event": {"packName": PACK, "name": "Asked"},
            "command": {"packName": PACK, "name": "Answer", "input": None, "retries": 1, "backoff": 0.5},
        },
    ],
}
# Each step stops for another reason: labels that differ, false criteria, a template that fails.
STOPPED: dict[str, Any] = {
    "name": "stopped",
    "steps": [
        {
            "id": "labels",
            "event": {"packName": PACK, "name": "Began", "packLabels": {"env": "prod"}},
            "command": {"packName": PACK, "name": "Ask"},
        },
        {
            "id": "criteria",
            "event": {"packName": PACK, "name": "Began"},
            "criteria": "{{ Event.Payload.who == 'nobody' }}",
            "command": {"packName": PACK, "name": "Ask"},
        },
        {
            "id": "error",
            "event": {"packName": PACK, "name": "Began"},
            "command": {"packName": PACK, "name": "Ask", "input": "{{ datastore('missing') }}"},
        },
    ],
}


@dataclass(frozen=True)
class SampleIds:
    """Ids of the sample data, by the names of path parameters in the API's description."""

    pack_id: str
    name: str
    version_id: str
    correlation_id: str
    step_id: str
    action_id: str
    event_id: str
    key: str


def populate(server: Server, token: str = "") -> SampleIds:
    """Create the sample data and return ids: those of an execution with a FATAL step, while others wait or succeed."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE, trust_env=False) as client:
        register(client)
        for flow in (FLOW, STOPPED):
            answered(client.post("/v1/flows", json=flow), 201)
        files = {"value": ("value", b'{"of": "any type"}', "application/json")}
        answered(client.put("/v1/datastore/key", files=files, data={"description": "of the world"}), 201)
        run(client, "Asked")
        failed = run(client, "FATAL")
        begin(client)
        return read_ids(client, failed)


def register(client: httpx.Client) -> None:
    declared = {"name": "Asked", "links": [{"href": "http://example.org", "rel": "help"}]}
    commands = [{"name": "Ask", "events": ["Asked"]}, {"name": "Answer", "events": None}]
    links = [{"href": "http://example.org", "rel": "help"}]
    for labels in ({}, {"env": "dev"}):
        pack = {"name": PACK, "labels": labels, "commands": commands, "events": [declared], "links": links}
        answered(client.post("/v1/packs", json=pack), 201)


def begin(client: httpx.Client) -> None:
    event = {"event": "Began", "payload": {"who": "world", "list": [1, 2.5, None, True]}}
    answered(client.post(f"/v1/packs/{PACK}/events", json=event), 202)


def run(client: httpx.Client, result: str) -> str:
    """Start an execution, end its first action with `result`, and return the link of that result."""
    begin(client)
    taken = answered(client.post(f"/v1/packs/{PACK}/actions/take?commandName=Ask"), 200).json()
    link = str(taken["links"][0]["href"])
    answered(client.post(link, json={"event": result, "payload": "said"}), 202)
    return link


def read_ids(client: httpx.Client, result_link: str) -> SampleIds:
    """Read the ids of the sample data from the API."""
    executions = answered(client.get("/v1/audit/flows"), 200).json()["flows"]
    action_id = result_link.split("/")[-2]
    failed = next(execution for execution in executions if execution["actions"]["ask"]["id"] == action_id)
    events = answered(client.get("/v1/audit/events"), 200).json()["events"]
    return SampleIds(
        pack_id=PACK,
        name=failed["name"],
        version_id=failed["uuid"],
        correlation_id=failed["correlationId"],
        step_id="ask",
        action_id=action_id,
        event_id=events[-1]["id"],
        key="key",
    )


def answered(response: httpx.Response, status: int) -> httpx.Response:
    assert response.status_code == status, response.text
    return response
