"""A secret on a real server: only the pack that takes the action gets it."""

import base64
import json
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dj_database_url
import httpx
import psycopg
import pytest
from psycopg import sql

from tests import preloaded
from tests.secrets import FIRST, SECOND
from tests.server import Server, StartServer
from tests.site.shape import routes

pytestmark = pytest.mark.acceptance

CANARY = f"canary+{secrets.token_hex(8)}/x"
FORMS = {CANARY, CANARY.upper(), json.dumps(CANARY)[1:-1], base64.urlsafe_b64encode(CANARY.encode()).decode()[:20]}
PASSWORD = "a long password for tests"
MAX_PAGES = 250

READ = "{{ datastore('token') }}"
ENCODED = "{{ base64Encode(datastore('token')) }}"
SOURCE = {"packName": "Src", "name": "Go"}
FLOW = {
    "name": "canary",
    "steps": [
        {
            "id": "a",
            "event": SOURCE,
            "context": {"Auth": f"Bearer {READ}", "Room": "ops"},
            "criteria": "{{ Context.Auth|length > 8 }}",
            "command": {
                "packName": "Wrk",
                "name": "Do",
                "retries": 1,
                "input": {
                    "h": ["{{ Context.Auth }}", "{{ base64Encode(datastore('token')) }}"],
                    "up": f"{READ[:-3]}|upper }}}}",
                },
            },
        },
        {
            "id": "waits",
            "dependsOn": ["a"],
            "event": {"packName": "Wrk", "name": "Done"},
            "command": {"packName": "Nobody", "name": "Do", "input": "{{ Context.Auth }} {{ Event.Payload }}"},
        },
        {
            "id": "refused",
            "dependsOn": ["a"],
            "event": {"packName": "Wrk", "name": "Done"},
            "criteria": "{{ Context.Auth }}",
            "command": {"packName": "Wrk", "name": "Do"},
        },
        {
            "id": "fails",
            "dependsOn": ["a"],
            "event": {"packName": "Wrk", "name": "Done"},
            "command": {"packName": "Wrk", "name": "Do", "input": "{{ datastore(Context.Auth) }}"},
        },
        {
            "id": "labelled",
            "dependsOn": ["a"],
            "event": {"packName": "Wrk", "name": "Done", "packLabels": {"x": "{{ Context.Auth }}"}},
            "command": {"packName": "Wrk", "name": "Do"},
        },
    ],
}
OTHER = {
    "name": "hears the result",
    "steps": [
        {
            "event": {"packName": "Wrk", "name": "Done"},
            "command": {"packName": "Wrk", "name": "Other", "input": "{{ Event.Payload }}"},
        }
    ],
}


class SecretScenario:
    """A server, the requests of a flow with a secret, and their responses."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=60, trust_env=False, follow_redirects=False)
        self.inputs: list[Any] = []
        self.responses: list[str] = []

    def call(self, method: str, path: str, status: int, **body: Any) -> httpx.Response:
        response = self.http.request(method, path, **body)
        assert response.status_code == status, (method, path, response.text)
        self.responses.append(f"{response.headers}\n{response.text}")
        return response

    def take(self, command: str) -> str:
        """Take the next action, and return its result link; store its input, which may contain the secret."""
        response = self.http.post(f"/v1/packs/Wrk/actions/take?commandName={command}")
        assert response.status_code == 200
        action = response.json()
        self.inputs.append(action["input"])
        return str(action["links"][0]["href"])

    def manage(self, *arguments: str, **environment: str) -> None:
        done = preloaded.run(["manage.py", *arguments], env={**self.server.environment, **environment}, timeout=120)
        done.check_returncode()
        self.responses.append(done.stdout + done.stderr)

    def run(self) -> None:
        value = {"value": ("value", CANARY.encode(), "text/plain")}
        self.call("PUT", "/v1/datastore/token", 201, files=value, data={"secret": "true"})
        self.call("GET", "/v1/datastore/token", 403)
        for name in ("Src", "Wrk"):
            self.call("POST", "/v1/packs", 201, json={"name": name})
        for flow in (FLOW, OTHER):
            self.call("POST", "/v1/flows", 201, json=flow)
        self.call("POST", "/v1/packs/Src/events", 202, json={"event": "Go", "payload": {"n": 1}})
        first = self.take("Do")
        echo = {"out": f"used {self.inputs[0]} and {CANARY}", CANARY: [CANARY.upper(), 1]}
        self.call("POST", first, 202, json={"event": "FATAL", "payload": echo})
        second = self.take("Do")
        self.call("POST", first, 409, json={"event": "Done", "payload": [echo, "late"]})
        for _ in range(2):
            self.call("POST", second, 202, json={"event": "Done", "payload": echo})
        self.take("Other")
        execution = self.executions("canary")[0]
        self.call("POST", f"/v1/audit/flows/{execution}/replay", 202)
        self.call("POST", f"/v1/audit/flows/{self.executions('canary')[0]}/cancel", 204)
        self.manage("execution", execution, "replay")
        self.manage("try_template", f"{{{{ datastore('token') }}}} {READ}")
        self.manage("rotate_encryption_keys", "--dry-run", FLYTE_ENCRYPTION_KEYS=f"{SECOND},{FIRST}")
        body = {"flow": FLOW, "event": {"event": "Go"}, "results": {"a": {"event": "Done", "payload": echo}}}
        self.call("POST", "/v1/flows/dry-run", 200, json=body)

    def executions(self, name: str) -> list[str]:
        flows = self.call("GET", f"/v1/audit/flows?flowName={name}", 200).json()["flows"]
        return [flow["correlationId"] for flow in flows]

    def paths(self) -> Iterator[str]:
        """Yield every path that supports GET, with the names of existing objects."""
        events = [event["id"] for event in self.call("GET", "/v1/audit/events", 200).json()["events"]]
        versions = self.call("GET", "/v1/flows/canary/versions", 200).json()["versions"]
        names = {
            "/v1/packs/<>": ["Wrk", "Src"],
            "/v1/flows/<>": ["canary", "hears%20the%20result"],
            "/v1/flows/<>/versions": ["canary"],
            "/v1/flows/<>/versions/<>": [version["uuid"] for version in versions],
            "/v1/datastore/<>": ["token"],
            "/v1/audit/flows/<>": self.executions("canary") + self.executions("hears the result"),
            "/v1/audit/events/<>": events,
        }
        for route in routes("<>"):
            if "<>" not in route:
                yield route
            for name in names.get(route, []):
                yield route.replace("<>", "canary", route.count("<>") - 1).replace("<>", name)

    def sign_in(self) -> None:
        account = ["createsuperuser", "--noinput", "--username", "root", "--email", "root@example.org"]
        self.manage(*account, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        page = self.http.get("/admin/login/").text
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
        form = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/admin/"}
        headers = {"Referer": f"{self.server.url}/admin/login/"}
        assert self.http.post("/admin/login/", data=form, headers=headers).status_code == 302

    def console(self) -> dict[str, str]:
        """Fetch all pages of the console that links lead to, by path."""
        pages: dict[str, str] = {}
        queue = ["/admin/"]
        while queue and len(pages) < MAX_PAGES:
            path = queue.pop(0)
            response = self.http.get(path)
            assert response.status_code < 500, path
            pages[path] = f"{response.headers}\n{response.text}"
            for link in [
                *re.findall(r'(?:href|hx-get)="([^"]+)"', response.text),
                response.headers.get("Location", ""),
            ]:
                link = str(httpx.URL(path).join(link.replace("&amp;", "&"))).partition("#")[0] if link else ""
                if link.startswith("/admin/") and link not in pages and link not in queue and "logout" not in link:
                    queue.append(link)
        return pages


def columns(server: Server) -> Iterator[bytes]:
    """Yield the bytes of SQLite's files, or all values in the tables of PostgreSQL."""
    if server.database_url.startswith("sqlite"):
        path = Path(server.database_url.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            yield file.read_bytes()
        with closing(sqlite3.connect(path)) as opened:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield path.read_bytes()
        return
    parts = dj_database_url.parse(server.database_url)
    with psycopg.connect(
        host=parts["HOST"], port=parts["PORT"], user=parts["USER"], password=parts["PASSWORD"], dbname=parts["NAME"]
    ) as opened_pg:
        tables = opened_pg.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in opened_pg.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))):
                for value in row:
                    yield bytes(value) if isinstance(value, memoryview | bytes) else str(value).encode()


def leaks(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


def test_only_the_pack_that_takes_the_action_sees_the_secret(start_server: StartServer) -> None:
    scenario = SecretScenario(start_server({"FLYTE_ENCRYPTION_KEYS": FIRST, "LOGLEVEL": "DEBUG"}))
    scenario.run()

    encoded = base64.urlsafe_b64encode(CANARY.encode()).decode().rstrip("=")
    rendered = {"h": [f"Bearer {CANARY}", encoded], "up": CANARY.upper()}
    assert scenario.inputs[:2] == [rendered, rendered]
    assert leaks(json.dumps(scenario.inputs[2])) == []

    for path in scenario.paths():
        for accept in ("application/json", "application/yaml"):
            response = scenario.http.get(path, headers={"Accept": accept})
            assert response.status_code < 500, path
            assert leaks(f"{response.headers}\n{response.text}") == [], path
    assert [response for response in scenario.responses if leaks(response)] == []

    scenario.sign_in()
    pages = scenario.console()
    assert len(pages) > 30
    assert any("/flows/execution/" in path and "••••••" in page for path, page in pages.items())
    assert [path for path, page in pages.items() if leaks(page)] == []

    assert "datastore/token" in scenario.server.logs()
    assert leaks(scenario.server.logs()) == []
    assert [value[:200] for value in columns(scenario.server) if any(form.encode() in value for form in FORMS)] == []
