"""The Postman collection, sent to a server request by request, as Postman sends it.

What its test scripts ask for is read from their text: a status, and the links that later requests go to.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import processes
from tests.server import ROOT, Server, StartServer

pytestmark = pytest.mark.acceptance

FILE = ROOT / "examples" / "flyte.postman_collection.json"
STATUS = re.compile(r"pm\.response\.to\.have\.status\((\d+)\)")
LINK = re.compile(
    r'pm\.collectionVariables\.set\("(\w+)", '
    r'pm\.response\.json\(\)\.links\.find\(\(link\) => link\.rel\.endsWith\("([^"]+)"\)\)\.href\);'
)


def collection() -> Any:
    return json.loads(FILE.read_text())


def requests() -> Iterator[dict[str, Any]]:
    for folder in collection()["item"]:
        yield from folder["item"]


def script(item: dict[str, Any]) -> list[str]:
    (event,) = item["event"]
    assert (event["listen"], event["script"]["type"]) == ("test", "text/javascript")
    return list(event["script"]["exec"])


def resolved(text: str, variables: dict[str, str]) -> str:
    """The text with its variables; those of a flow's templates have spaces around their names."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: variables[found[1]], text)


def send(http: httpx.Client, item: dict[str, Any], variables: dict[str, str]) -> httpx.Response:
    asked = item["request"]
    headers = {header["key"]: header["value"] for header in asked["header"]}
    if variables["token"]:
        headers["Authorization"] = f"Bearer {variables['token']}"
    body = asked.get("body", {})
    content = resolved(body["raw"], variables) if body.get("mode") == "raw" else None
    url = resolved(asked["url"]["raw"], variables)
    return http.request(asked["method"], url, headers=headers, content=content)


def run(server: Server, token: str = "") -> list[str]:
    """Sends all requests in their order; their names."""
    variables = {one["key"]: one["value"] for one in collection()["variable"]} | {"baseUrl": server.url, "token": token}
    names = []
    with httpx.Client(trust_env=False, timeout=60) as http:
        for item in requests():
            answer = send(http, item, variables)
            wanted, *links = script(item)
            (status,) = STATUS.findall(wanted)
            assert answer.status_code == int(status), (item["name"], answer.text)
            for line in links:
                ((variable, rel),) = LINK.findall(line)
                (variables[variable],) = (link["href"] for link in answer.json()["links"] if link["rel"].endswith(rel))
            names.append(item["name"])
    return names


def test_every_request_is_answered_as_the_collection_says_and_it_can_be_run_again(server: Server) -> None:
    assert run(server) == run(server)


def test_it_runs_with_a_token(start_server: StartServer) -> None:
    server = start_server({"FLYTE_AUTH": "tokens"})
    assert httpx.get(f"{server.url}/v1/packs", trust_env=False).status_code == 401
    assert run(server, token_for(server))


def token_for(server: Server) -> str:
    scopes = "packs:read packs:write flows:read flows:write datastore:read datastore:write audit:read approvals:write"
    given = [word for scope in scopes.split() for word in ("--scope", scope)]
    done = processes.run(
        [sys.executable, "manage.py", "token", "create", "postman", "--pack", "S*", *given],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1]


@pytest.mark.unit
def test_it_has_the_form_that_postman_and_insomnia_read() -> None:
    found = collection()
    assert found["info"]["schema"] == "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    variables = {one["key"] for one in found["variable"]}
    for item in requests():
        url = item["request"]["url"]
        query = "&".join(f"{one['key']}={one['value']}" for one in url.get("query", ()))
        path = "/".join([*url["host"], *url.get("path", ())])
        assert url["raw"].rstrip("/") == path + (f"?{query}" if query else "")
        assert set(re.findall(r"\{\{(\w+)\}\}", url["raw"])) <= variables
