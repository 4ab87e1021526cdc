"""Secrets and payloads are never logged: the tests send them through every interface, and search the log for them."""

import json
import re
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.server import Server, StartServer
from tests.site.processes import PATIENCE, manage

pytestmark = pytest.mark.acceptance

PACK = "Quiet"
MAY = ("packs:read", "flows:read", "flows:write", "datastore:write", "audit:read", "executions:write")
SCOPES = [f"--scope={name}" for name in MAY]


class Marks:
    """Unique texts: secrets for tokens and passwords, and other texts for what packs and people send."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    def secret(self, what: str) -> str:
        return self.keep(f"secret {what}", f"S{secrets.token_hex(12)}")

    def told(self, what: str) -> str:
        return self.keep(f"told {what}", f"T{secrets.token_hex(12)}")

    def keep(self, what: str, text: str) -> str:
        self.made[what] = text
        return text

    def found_in(self, log: str, kinds: tuple[str, ...]) -> list[str]:
        return [what for what, text in self.made.items() if text in log and what.startswith(kinds)]


def test_at_info_the_log_has_no_secret_and_no_payload(start_server: StartServer, tmp_path: Path) -> None:
    marks, log = drive_server("INFO", start_server, tmp_path)
    assert "event_received" in log
    assert "event=request_invalid address=127.0.0.1 status=400 error=InvalidHeader" in log
    assert marks.found_in(log, ("secret", "told")) == []


def test_at_debug_the_log_has_no_token_and_no_password(start_server: StartServer, tmp_path: Path) -> None:
    marks, log = drive_server("DEBUG", start_server, tmp_path)
    assert "gunicorn.access" in log
    assert marks.found_in(log, ("secret",)) == []


def drive_server(level: str, start_server: StartServer, folder: Path) -> tuple[Marks, str]:
    """Send marks to a server with this log level; return the marks and the complete log."""
    marks, file = Marks(), folder / "flyte.log"
    own_key = marks.secret("the server's key")
    server = start_server(
        {"FLYTE_AUTH": "tokens", "LOGLEVEL": level, "LOGFILE": str(file), "FLYTE_SECRET_KEY": own_key * 3}
    )
    token = marks.keep("secret token", create_token(server))
    for drive in (packs_and_flows, datastore, refused_tokens, bad_requests):
        with httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE, trust_env=False
        ) as client:
            drive(client, marks)
    console(server, marks)
    broken_http(server, marks)
    server.stop()
    return marks, file.read_text(errors="replace")


def create_token(server: Server) -> str:
    done = manage(
        "token",
        "create",
        "quiet",
        f"--pack={PACK}",
        *SCOPES,
        folder=server.log_path.parent,
        environment=server.environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def step(name: str, **parts: object) -> dict[str, object]:
    command = {"packName": PACK, "name": "Do", "input": "{{ Event.Payload.said }}"}
    return {"id": name, "event": {"packName": PACK, "name": "Said"}, "command": command, **parts}


def packs_and_flows(client: httpx.Client, marks: Marks) -> None:
    """Register a pack, save flows that succeed, stop and fail, send events and results, and read the audit."""
    links = [{"href": f"http://example.org/{marks.told('link')}", "rel": "help"}]
    labelled = {"name": PACK, "labels": {}, "commands": [{"name": "Do", "events": ["Done"]}], "links": links}
    expect(client.post("/v1/packs", json=labelled), 201)
    failing = {"packName": PACK, "name": "Do", "input": "{{ datastore(Event.Payload.said) }}"}
    steps = [
        step("works", context={"Kept": marks.told("context")}),
        step("criteria", criteria="{{ Event.Payload.said == '" + marks.told("criteria") + "' }}"),
        step("fails", command=failing),
    ]
    expect(client.post("/v1/flows", json={"name": "quiet", "description": marks.told("flow"), "steps": steps}), 201)
    broken = step("broken", criteria="{{ " + marks.told("broken template") + " | }}")
    expect(client.post("/v1/flows", json={"name": "broken", "steps": [broken]}), 400)
    events = f"/v1/packs/{PACK}/events"
    said = {"said": marks.told("payload"), "password": marks.secret("in a payload")}
    key = {"Idempotency-Key": marks.told("idempotency key")}
    expect(client.post(events, json={"event": "Said", "payload": said}, headers=key), 202)
    expect(client.post(events, json={"event": "Said", "payload": "other"}, headers=key), 422)
    expect(client.post(events, json={"event": "Unheard", "payload": said}), 202)
    trial = {
        "flow": {"name": "quiet", "steps": steps},
        "event": {"event": "Said", "pack": {"name": PACK}, "payload": said},
    }
    expect(client.post("/v1/flows/dry-run", json=trial), 200)
    taken = expect(client.post(f"/v1/packs/{PACK}/actions/take"), 200).json()
    result = taken["links"][0]["href"]
    expect(client.post(result, json={"event": "FATAL", "payload": marks.told("result")}), 202)
    expect(client.post(result, json={"event": "Done", "payload": marks.told("late result")}), 409)
    execution = expect(client.get("/v1/audit/flows"), 200).json()["flows"][0]
    expect(client.post(f"/v1/audit/flows/{execution['correlationId']}/replay"), 202)
    expect(client.post(f"/v1/audit/flows/{execution['correlationId']}/cancel"), 409)


def datastore(client: httpx.Client, marks: Marks) -> None:
    for value in (marks.secret("datastore value"), marks.secret("newer datastore value")):
        files = {"value": ("value", value.encode(), "text/plain")}
        client.put("/v1/datastore/quiet", files=files, data={"description": marks.told("description")})
    expect(client.put("/v1/datastore/quiet", content=marks.secret("raw datastore value")), 400)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    expect(client.put("/v1/datastore/quiet", content=f"--x\r\n{marks.secret('half a value')}", headers=form), 400)


def refused_tokens(client: httpx.Client, marks: Marks) -> None:
    for scheme in ("Bearer ", "bearer flyte_", "Basic ", ""):
        header = {"Authorization": f"{scheme}{marks.secret(f'token after {scheme!r}')}"}
        expect(client.get("/v1/flows", headers=header), 401)
    expect(client.delete(f"/v1/packs/{PACK}"), 403)


def bad_requests(client: httpx.Client, marks: Marks) -> None:
    for kind in ("application/json", "application/x-yaml", "text/plain"):
        for path in ("/v1/packs", "/v1/flows", f"/v1/packs/{PACK}/events"):
            body = f'{{"event": "{marks.told(f"{kind} at {path}")}", '
            expect(client.post(path, content=body, headers={"Content-Type": kind}), 400)
    for path in ("/v1/flows/{}", "/nothing/{}", "/v1/flows?after={}", "/v1/audit/flows?state={}", "/admin/{}/"):
        assert client.get(path.format(marks.told(f"path {path}"))).status_code in (200, 302, 400, 404)
    expect(client.post("/v1/flows", content=marks.told("large").encode() * 500_000), 413)


def console(server: Server, marks: Marks) -> None:
    """Sign in with a wrong and the right password, change the password, and send a form without a CSRF token."""
    first = re.search(r"password:\s+(\S+)", server.logs())
    assert first, server.logs()
    initial = marks.keep("secret first password", first[1])
    with httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False) as browser:
        for password in (marks.secret("wrong password"), initial):
            answer = post_form(browser, "/admin/login/", {"username": "admin", "password": password})
        expect(answer, 302)
        for name, value in browser.cookies.items():
            marks.keep(f"secret cookie {name}", value)
        new = marks.secret("new password")
        changed = {"new_password1": new, "new_password2": new}
        expect(post_form(browser, "/admin/password_change/", changed), 302)
        forged = {"username": "admin", "password": marks.secret("forged password"), "csrfmiddlewaretoken": "x" * 64}
        expect(browser.post("/admin/login/", data=forged), 403)


def post_form(browser: httpx.Client, path: str, fields: dict[str, str]) -> httpx.Response:
    """Open a page, and send its form as a browser does."""
    page = browser.get(path).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token, page
    return browser.post(
        path, data={**fields, "csrfmiddlewaretoken": token[1]}, headers={"Origin": str(browser.base_url).rstrip("/")}
    )


def broken_http(server: Server, marks: Marks) -> None:
    """Send invalid HTTP that contains a token."""
    lines: list[Callable[[str], str]] = [
        lambda mark: f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {mark}",
        lambda mark: f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {mark}",
        lambda mark: f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mark}\x00",
        lambda mark: f"GET / HTTP/1.1\r\nHost: x\r\nCookie: flyte_session={mark}\r\nContent-Length: {mark}",
        lambda mark: f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mark}\r\n folded",
        lambda mark: f"Authorization: Bearer {mark}",
    ]
    port = int(server.url.rpartition(":")[2])
    for index, line in enumerate(lines):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as opened:
            opened.sendall(line(marks.secret(f"broken HTTP {index}")).encode() + b"\r\n\r\n")
            opened.recv(65536)


def expect(response: httpx.Response, status: int) -> httpx.Response:
    assert response.status_code == status, (response.request.url, json.dumps(response.text[:500]))
    return response
