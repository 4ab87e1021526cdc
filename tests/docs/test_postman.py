"""The Postman collection, sent to a server request by request, as Postman sends it.

Its test scripts contain the expected status and the links for later requests; both are read from their text.
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
    """Replace the variables in a text, but not those of a flow's templates, which have spaces around their names."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: variables[match[1]], text)


def send(http: httpx.Client, item: dict[str, Any], variables: dict[str, str]) -> httpx.Response:
    request = item["request"]
    headers = {header["key"]: header["value"] for header in request["header"]}
    if variables["token"]:
        headers["Authorization"] = f"Bearer {variables['token']}"
    body = request.get("body", {})
    content = resolved(body["raw"], variables) if body.get("mode") == "raw" else None
    url = resolved(request["url"]["raw"], variables)
    return http.request(request["method"], url, headers=headers, content=content)


def run(server: Server, token: str = "") -> list[str]:
    """Send all requests in order; return their names."""
    variables = {variable["key"]: variable["value"] for variable in collection()["variable"]} | {
        "baseUrl": server.url,
        "token": token,
    }
    names = []
    with httpx.Client(trust_env=False, timeout=60) as http:
        for item in requests():
            answer = send(http, item, variables)
            check, *links = script(item)
            (status,) = STATUS.findall(check)
            assert answer.status_code == int(status), (item["name"], answer.text)
            for line in links:
                ((variable, rel),) = LINK.findall(line)
                (variables[variable],) = (link["href"] for link in answer.json()["links"] if link["rel"].endswith(rel))
            names.append(item["name"])
    return names


def test_every_response_has_the_documented_status_also_in_a_second_run(server: Server) -> None:
    assert run(server) == run(server)


def test_it_runs_with_a_token(start_server: StartServer) -> None:
    server = start_server({"FLYTE_AUTH": "tokens"})
    assert httpx.get(f"{server.url}/v1/packs", trust_env=False).status_code == 401
    assert run(server, token_for(server))


def token_for(server: Server) -> str:
    scopes = "packs:read packs:write flows:read flows:write datastore:read datastore:write audit:read approvals:write"
    options = [word for scope in scopes.split() for word in ("--scope", scope)]
    done = processes.run(
        [sys.executable, "manage.py", "token", "create", "postman", "--pack", "S*", *options],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1]


@pytest.mark.unit
def test_the_collection_has_the_format_of_postman_and_insomnia() -> None:
    document = collection()
    assert document["info"]["schema"] == "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
    variables = {variable["key"] for variable in document["variable"]}
    for item in requests():
        url = item["request"]["url"]
        query = "&".join(f"{parameter['key']}={parameter['value']}" for parameter in url.get("query", ()))
        path = "/".join([*url["host"], *url.get("path", ())])
        assert url["raw"].rstrip("/") == path + (f"?{query}" if query else "")
        assert set(re.findall(r"\{\{(\w+)\}\}", url["raw"])) <= variables
