"""The protocol of the original's Python client, as documented and observed: every URL except the first is a link.

It fetches `/v1`, uses the first link whose rel *ends with* a name, posts JSON as plain text, polls with an empty body,
parses responses of any type as JSON, and fails on every status from 400 on.
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server import Server

pytestmark = pytest.mark.acceptance


class PythonClient:
    """The protocol of the client, as a pack uses it."""

    def __init__(self, server: Server) -> None:
        self.http = httpx.Client(timeout=5.0)
        self.start = f"{server.url}/v1"
        self.take_url = ""
        self.events_url = ""

    def create_pack(self, definition: dict[str, Any]) -> dict[str, Any]:
        """Register the pack, and store the links for actions and events."""
        links = json.loads(self._checked(self.http.get(self.start)).text)["links"]
        answer = self._post(find_link(links, "pack/listPacks"), definition)
        pack: dict[str, Any] = json.loads(answer.text)
        self.take_url, self.events_url = find_link(pack["links"], "takeAction"), find_link(pack["links"], "event")
        return pack

    def post_event(self, event: dict[str, Any]) -> int:
        """Post an event, and return the status."""
        return self._post(self.events_url, event).status_code

    def take_action(self) -> dict[str, Any] | None:
        """Take the next action, or return None."""
        answer = self._checked(self.http.post(self.take_url))
        return None if answer.status_code == 204 else json.loads(answer.text)

    def complete_action(self, action: dict[str, Any], event: dict[str, Any]) -> int:
        """Post the result of an action, and return the status."""
        return self._post(find_link(action["links"], "actionResult"), event).status_code

    def _post(self, url: str, document: dict[str, Any]) -> httpx.Response:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        return self._checked(self.http.post(url, content=json.dumps(document), headers=headers))

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        assert answer.status_code < 400, answer.text
        return answer


def find_link(links: list[dict[str, str]], name: str) -> str:
    """Return the URL of the first link whose rel ends with this name."""
    return next(link["href"] for link in links if link["rel"].endswith(name))


def definition(name: str) -> dict[str, Any]:
    """Build a pack as the client does: help links at all levels, and the events of each command declared as well."""
    help_link = [{"href": "http://example.org/help", "rel": "help"}]
    return {
        "name": name,
        "labels": {},
        "links": help_link,
        "commands": [{"name": "Rota", "events": ["RotaRetrieved", "Error"], "links": help_link}],
        "events": [{"name": "Asked", "links": []}, {"name": "RotaRetrieved", "links": help_link}],
    }


@pytest.fixture
def client(server: Server) -> Iterator[PythonClient]:
    """Return a client of the server that the whole run shares."""
    client = PythonClient(server)
    with client.http:
        yield client


@pytest.fixture
def name() -> str:
    """Return a pack name that no other test uses."""
    return f"rota-{uuid.uuid4().hex}"


def flow(name: str) -> dict[str, Any]:
    """Build a flow that requests the rota for each event `Asked`, and again after a FATAL result."""
    rota = {"name": "Rota", "packName": name, "input": {"team": "{{ Event.Payload.team }}", "size": 3}}
    again = {"name": "Rota", "packName": name, "input": "again: {{ Event.Payload }}"}
    return {
        "name": name,
        "steps": [
            {"id": "ask", "event": {"name": "Asked", "packName": name}, "command": rota},
            {"id": "again", "dependsOn": ["ask"], "event": {"name": "FATAL", "packName": name}, "command": again},
        ],
    }


def add_flow(server: Server, name: str) -> None:
    assert httpx.post(f"{server.url}/v1/flows", json=flow(name)).status_code == 201


def test_registration_returns_the_links_that_the_client_follows(client: PythonClient, name: str) -> None:
    pack = client.create_pack(definition(name))
    assert pack["name"] == name
    assert [command["name"] for command in pack["commands"]] == ["Rota"]
    assert [event["name"] for event in pack["events"]] == ["Asked", "RotaRetrieved"]
    assert client.take_url.endswith(f"/v1/packs/{name}/actions/take")
    assert client.events_url.endswith(f"/v1/packs/{name}/events")


def test_the_location_of_a_registration_is_the_pack(client: PythonClient, server: Server, name: str) -> None:
    created = client.http.post(f"{server.url}/v1/packs", json=definition(name))
    assert created.status_code == 201
    pack = client.http.get(created.headers["Location"]).json()
    assert (pack["name"], pack["status"]) == (name, "live")


def test_the_client_finds_health_by_its_link(client: PythonClient) -> None:
    links = client.http.get(client.start).json()["links"]
    assert client.http.get(find_link(links, "info/health")).status_code == 200


def test_an_event_creates_an_action_and_the_result_finishes_it(client: PythonClient, server: Server, name: str) -> None:
    client.create_pack(definition(name))
    add_flow(server, name)
    assert client.take_action() is None
    assert client.post_event({"event": "Asked", "payload": {"team": "sre"}}) == 202
    action = client.take_action()
    assert action is not None
    assert (action["command"], action["input"]) == ("Rota", {"team": "sre", "size": 3})
    assert client.take_action() is None
    assert client.complete_action(action, {"event": "RotaRetrieved", "payload": "Jane"}) == 202
    assert client.take_action() is None


def test_a_fatal_result_starts_the_dependent_step(client: PythonClient, server: Server, name: str) -> None:
    client.create_pack(definition(name))
    add_flow(server, name)
    client.post_event({"event": "Asked", "payload": {"team": "sre"}})
    action = client.take_action()
    assert action is not None
    assert client.complete_action(action, {"event": "FATAL", "payload": "no handler"}) == 202
    after = client.take_action()
    assert after is not None
    assert (after["command"], after["input"]) == ("Rota", "again: no handler")


def test_an_event_without_payload_is_sent_as_null(client: PythonClient, name: str) -> None:
    client.create_pack(definition(name))
    assert client.post_event({"event": "Asked", "payload": None}) == 202


def test_registering_again_keeps_queued_actions(client: PythonClient, server: Server, name: str) -> None:
    client.create_pack(definition(name))
    add_flow(server, name)
    client.post_event({"event": "Asked", "payload": {"team": "sre"}})
    client.create_pack(definition(name))
    assert client.take_action() is not None


def test_each_command_has_a_link_to_take_only_its_actions(client: PythonClient, server: Server, name: str) -> None:
    pack = client.create_pack(
        definition(name) | {"commands": [{"name": "Rota", "events": []}, {"name": "Other", "events": []}]}
    )
    add_flow(server, name)
    client.post_event({"event": "Asked", "payload": {"team": "sre"}})
    by_name = {command["name"]: find_link(command["links"], "takeAction") for command in pack["commands"]}
    assert client.http.post(by_name["Other"]).status_code == 204
    assert client.http.post(by_name["Rota"]).status_code == 200
