"""Numbers of the original server, whose JSON and database have floats only: Go packs decode them as before the move.

A Go pack decodes the input of a command into a struct, and fails if a field of type `int` gets `10.0` or `1e3`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from tests.flows import mongo_dump as o

pytestmark = [pytest.mark.database, pytest.mark.django_db]

# A number that Go would not decode into an `int`, with the character before it.
NOT_AN_INTEGER = re.compile(rb"[:\[,]\s*-?\d+(?:\.0+)?(?:[eE][+-]?\d+)?(?=\s*[,}\]])")
WAITING = "5ab24a266f42ed00054733d4"


def find_floats(body: bytes) -> list[bytes]:
    """Return the whole numbers in a JSON document that are written as floats."""
    return [number for number in NOT_AN_INTEGER.findall(body) if re.search(rb"[.eE]", number)]


def take(client: Client) -> Any:
    """Take an action as a Go pack does: read a number without a fraction as an integer, and fail otherwise."""
    response = client.post("/v1/packs/Wrk/actions/take")
    assert (response.status_code, find_floats(response.content)) == (200, [])
    return json.loads(response.content)


def post(client: Client, path: str, document: str) -> None:
    assert client.post(path, document, "application/json").status_code == 202


def test_go_packs_of_an_imported_store_get_integers_where_they_had_integers(tmp_path: Path, client: Client) -> None:
    inputs: dict[str, Any] = {"count": 10.0, "share": 0.5, "large": 9_007_199_254_740_992.0, "nested": [{"n": -3.0}]}
    first = o.step("one", command={"name": "Do", "packName": "Wrk", "input": inputs}, context={"N": "4"})
    second = o.step("two", ["one"], criteria="{{ Event.Payload.n == 3 }}")
    second["command"] = {"name": "Do", "packName": "Wrk", "input": {"fixed": 2.0, "text": "{{ Event.Payload.n }}"}}
    flow = o.flow("numbers", first, second)
    waiting = o.action(flow, WAITING, "one", "NEW", input=inputs, trigger=o.event("Src", "Go", {"n": 5.0, "x": 1.5}))
    collections = {"pack": [o.pack("Src"), o.pack("Wrk")], "flow": [flow], "flowHistory": [flow], "action": [waiting]}
    call_command("import_mongodump", str(o.write(tmp_path, {**collections, "datastore": []})))

    expected = {"count": 10, "share": 0.5, "large": 9_007_199_254_740_992, "nested": [{"n": -3}]}
    for action in (take(client), start(client)):
        assert action["input"] == expected
        post(client, action["links"][0]["href"], '{"event": "Done", "payload": {"n": 3.0, "big": 1e3}}')
        following = take(client)
        assert following["input"] == {"fixed": 2, "text": "3"}
        post(client, following["links"][0]["href"], '{"event": "Done"}')

    for path in ("/v1/flows/numbers", f"/v1/audit/flows/{WAITING}", "/v1/audit/flows", "/v1/audit/events"):
        response = client.get(path)
        assert (response.status_code, find_floats(response.content)) == (200, [])
    payload = client.get(f"/v1/audit/flows/{WAITING}").json()["actions"]["one"]["result"]["payload"]
    assert json.dumps(payload) == '{"n": 3, "big": 1000}'


def start(client: Client) -> Any:
    """Start the flow with an event, and take its first action."""
    post(client, "/v1/packs/Src/events", '{"event": "Go", "payload": {"n": 5.0}}')
    return take(client)


@pytest.mark.parametrize("number", ["10.0", "1e3", "-3.00", "1E+2"])
def test_floats_are_found_in_documents(number: str) -> None:
    assert find_floats(b'{"a": %s, "b": [1, %s]}' % (number.encode(), number.encode()))
    assert not find_floats(b'{"a": 10, "b": [1.5, -3], "at": "10.0,"}')
