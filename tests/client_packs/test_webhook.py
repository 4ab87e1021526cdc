"""The Webhook pack as a process: verification, events and responses."""

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.client.program import Program
from tests.client.stub_server import StubResponse, StubServer
from tests.examples.world import ExampleClient
from tests.private_postgres import free_port
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually, seen, watch

pytestmark = pytest.mark.integration

HOOKS = [
    {"name": "github", "sender": "github", "secret": "GITHUB_SECRET", "event": "Pushed"},
    {"name": "gitlab", "sender": "gitlab", "secret": "GITLAB_SECRET"},
    {"name": "chat", "sender": "slack", "secret": "SLACK_SECRET"},
    {"name": "open", "sender": "none", "headers": ["X-Topic"], "deliveryId": "X-Id", "methods": ["POST", "PUT"]},
]
SECRETS = {"GITHUB_SECRET": "g1", "GITLAB_SECRET": "g2", "SLACK_SECRET": "s3"}


class Hooks:
    """A client for the pack's HTTP server."""

    def __init__(self, http: httpx.Client, program: Program) -> None:
        self.http = http
        self.program = program

    def post(self, name: str, body: bytes = b"{}", **headers: str) -> httpx.Response:
        """Send a request; underscores in header names stand for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"/hooks/{name}", content=body, headers={"content-type": "application/json"} | sent)

    def github(self, body: bytes, delivery: str, secret: str = "g1") -> httpx.Response:
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return self.post(
            "github",
            body,
            x_hub_signature_256=f"sha256={signature}",
            x_github_delivery=delivery,
            x_github_event="push",
        )


StartHooks = Callable[..., Hooks]


@pytest.fixture
def start_hooks(start_pack: StartPack) -> Iterator[StartHooks]:
    clients: list[httpx.Client] = []

    def start(api: str, **environment: str) -> Hooks:
        port = free_port()
        settings = {"FLYTE_WEBHOOK_PORT": str(port), "FLYTE_WEBHOOK_CONFIG": json.dumps({"hooks": HOOKS})}
        program = start_pack("webhook", api, **settings, **SECRETS, **environment)
        program.wait_for_log("hook_ready")
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30))
        return Hooks(clients[-1], program)

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def hooks(stub: StubServer, start_hooks: StartHooks) -> Hooks:
    return start_hooks(stub.url)


def payloads(stub: StubServer) -> list[Any]:
    return [call.body["payload"] for call in stub.of("event")]


@pytest.mark.acceptance
def test_a_repeated_delivery_starts_its_flow_once(
    world: ExampleClient, packs_server: Server, start_hooks: StartHooks
) -> None:
    watch(world, "Webhook", "Pushed")
    hooks = start_hooks(packs_server.url)
    body = json.dumps({"ref": "refs/heads/main", "text": "é\u2028"}).encode()
    answers = [hooks.github(body, "d-1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.text for answer in answers] == ["accepted\n", "already received: this delivery counts once\n"]
    hooks.program.wait_for_log("event_repeated hook=github key=webhook/github/d-1")
    assert hooks.github(body, "d-2").status_code == 202
    assert hooks.github(b"{}", "d-1").status_code == 409
    first, second = seen(world, "Webhook", "Pushed")
    assert first == {
        "hook": "github",
        "method": "POST",
        "path": "/hooks/github",
        "query": {},
        "headers": {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d-1"},
        "body": {"ref": "refs/heads/main", "text": "é\u2028"},
    }
    assert second["headers"]["X-GitHub-Delivery"] == "d-2"
    hooks.program.signal()
    assert hooks.program.exit_code() == 0


@pytest.mark.acceptance
def test_the_response_is_202_only_after_flyte_has_the_event(
    world: ExampleClient, packs_server: Server, start_hooks: StartHooks
) -> None:
    watch(world, "Webhook", "Received")
    hooks = start_hooks(packs_server.url)
    answer = hooks.post("open", b'{"n": 1}')
    assert (answer.status_code, answer.text) == (202, "accepted\n")
    assert [event["body"] for event in seen(world, "Webhook", "Received")] == [{"n": 1}]


def test_a_wrong_signature_is_rejected_without_an_event(stub: StubServer, hooks: Hooks) -> None:
    assert hooks.github(b"{}", "d", secret="other").status_code == 401
    assert hooks.post("github").status_code == 401
    assert hooks.post("gitlab", x_gitlab_token="g").status_code == 401
    assert hooks.post("chat", x_slack_request_timestamp="1", x_slack_signature="v0=1").status_code == 401
    assert stub.of("event") == []
    assert "g1" not in "".join(hooks.program.log)


def test_gitlab_is_authenticated_by_its_token_and_its_key_is_used(stub: StubServer, hooks: Hooks) -> None:
    answer = hooks.post("gitlab", x_gitlab_token="g2", idempotency_key="k-1", x_gitlab_event="Push Hook")
    assert answer.status_code == 202
    (call,) = stub.of("event")
    assert call.headers["Idempotency-Key"] == "webhook/gitlab/k-1"
    assert call.body["payload"]["headers"] == {"X-Gitlab-Event": "Push Hook"}


def test_slack_is_authenticated_by_its_signature_and_gets_its_challenge(stub: StubServer, hooks: Hooks) -> None:
    def signed(body: bytes) -> dict[str, str]:
        stamp = str(int(time.time()))
        signature = hmac.new(b"s3", b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return {"x_slack_request_timestamp": stamp, "x_slack_signature": f"v0={signature}"}

    form = b"command=%2Fflyte&text=a+b&user=1&user=2"
    sent = signed(form) | {"content_type": "application/x-www-form-urlencoded"}
    assert hooks.post("chat", form, **sent).status_code == 202
    assert payloads(stub)[0]["body"] == {"command": "/flyte", "text": "a b", "user": ["1", "2"]}
    challenge = b'{"type": "url_verification", "challenge": "3eZb"}'
    answer = hooks.post("chat", challenge, **signed(challenge))
    assert (answer.status_code, answer.text.strip()) == (200, "3eZb")
    assert len(stub.of("event")) == 1


def test_only_listed_headers_are_in_the_event(stub: StubServer, hooks: Hooks) -> None:
    answer = hooks.http.put(
        "/hooks/open?a=1&b=&a=2",
        content="hé".encode(),
        headers={"X-Topic": "t", "Authorization": "Bearer x", "X-Id": "x" * 300},
    )
    assert answer.status_code == 202
    assert payloads(stub) == [
        {
            "hook": "open",
            "method": "PUT",
            "path": "/hooks/open",
            "query": {"a": ["1", "2"], "b": ""},
            "headers": {"X-Topic": "t"},
            "body": "hé",
        }
    ]
    assert stub.of("event")[0].headers["Idempotency-Key"].startswith("webhook/open/")


def test_deliveries_without_an_id_are_all_different(stub: StubServer, hooks: Hooks) -> None:
    assert [hooks.post("open").status_code for _ in range(2)] == [202, 202]
    assert len({call.headers["Idempotency-Key"] for call in stub.of("event")}) == 2


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 202),
        (b"{", "application/json", 400),
        (b"[NaN]", "application/json", 400),
        (b'{"a": 1e400}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"--x", "multipart/form-data; boundary=x", 400),
        (b"a=1&" * 2000, "application/x-www-form-urlencoded", 400),
    ],
)
def test_an_invalid_body_is_rejected(hooks: Hooks, body: bytes, kind: str, status: int) -> None:
    assert hooks.post("open", body, content_type=kind).status_code == status


def test_an_unknown_hook_or_method_is_rejected(hooks: Hooks) -> None:
    assert hooks.post("nothing").status_code == 404
    assert hooks.http.post("/").status_code == 404
    answer = hooks.http.get("/hooks/open")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, PUT")


def test_a_body_that_is_too_large_is_rejected(stub: StubServer, start_hooks: StartHooks) -> None:
    hooks = start_hooks(stub.url, FLYTE_WEBHOOK_MAX_BYTES="1000")
    assert hooks.post("open", b'"%s"' % (b"x" * 998)).status_code == 202
    assert hooks.post("open", b'"%s"' % (b"x" * 999)).status_code == 413
    pieces = (b"x" * 100 for _ in range(20))
    assert hooks.http.post("/hooks/open", content=pieces).status_code == 413
    assert hooks.http.post("/hooks/open", content=(b"x" for _ in range(20))).status_code == 202
    assert len(stub.of("event")) == 2
    hooks.program.wait_for_log("path='/hooks/open' status=413 reason='The entity sent with the request exceeds")


def test_a_truncated_body_is_not_an_event(stub: StubServer, hooks: Hooks) -> None:
    with socket.create_connection((hooks.http.base_url.host, hooks.http.base_url.port or 0), timeout=30) as sender:
        sender.sendall(b"POST /hooks/open HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        sender.shutdown(socket.SHUT_WR)
        assert b" 400 " in sender.recv(1000)
    hooks.program.wait_for_log("status=400 reason='request body is shorter than Content-Length'")
    assert stub.of("event") == []


def test_a_request_that_is_not_http_is_refused_and_logged(stub: StubServer, hooks: Hooks) -> None:
    with socket.create_connection((hooks.http.base_url.host, hooks.http.base_url.port or 0), timeout=30) as sender:
        sender.sendall(b"nonsense\r\n\r\n")
        assert b" 400 " in sender.recv(1000)
    hooks.program.wait_for_log("request_refused method= path='' status=400 reason='Malformed Request-Line'")


def test_an_unreachable_server_is_503_in_bounded_time(stub: StubServer, start_hooks: StartHooks) -> None:
    hooks = start_hooks(stub.url, FLYTE_WEBHOOK_SEND_SECONDS="0.2")
    assert hooks.post("open").status_code == 202
    stub.stop()
    answer = hooks.post("open", x_id="again")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    stub.start()
    eventually(lambda: hooks.post("open", x_id="again").status_code == 202)
    assert stub.of("event")[-1].headers["Idempotency-Key"] == "webhook/open/again"


def test_a_pack_that_never_reached_its_server_says_503(stub: StubServer, start_hooks: StartHooks) -> None:
    stub.stop()
    hooks = start_hooks(stub.url, FLYTE_WEBHOOK_SEND_SECONDS="0.2")
    assert hooks.post("open").status_code == 503
    hooks.program.signal()
    assert hooks.program.exit_code() == 0


@pytest.mark.parametrize(("refusal", "status"), [(400, 400), (413, 413), (422, 409), (401, 503), (403, 503)])
def test_flytes_refusal_is_sent_to_the_sender(stub: StubServer, hooks: Hooks, refusal: int, status: int) -> None:
    hooks.program.wait_for_log("pack_registered")
    stub.script("event", StubResponse(refusal))
    assert hooks.post("open").status_code == status


def test_requests_beyond_the_backlog_are_asked_to_retry(stub: StubServer, start_hooks: StartHooks) -> None:
    hooks = start_hooks(stub.url, FLYTE_WEBHOOK_THREADS="1", FLYTE_WEBHOOK_WAITING="1", FLYTE_WEBHOOK_SEND_SECONDS="3")
    hooks.program.wait_for_log("pack_registered")
    stub.stop()
    codes: list[int] = []

    def post() -> None:
        answer = httpx.post(hooks.http.base_url.join("/hooks/open"), content=b"", trust_env=False, timeout=30)
        codes.append(answer.status_code)

    threads = [threading.Thread(target=post) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert codes == [503] * 12
    hooks.program.wait_for_log("status=503 reason='too many requests are waiting' address=127.0.0.1")
    assert hooks.post("nothing").status_code == 404, "it serves on"


def test_a_request_in_progress_is_answered_before_the_pack_ends(stub: StubServer, start_hooks: StartHooks) -> None:
    hooks = start_hooks(stub.url, FLYTE_WEBHOOK_SEND_SECONDS="20")
    hooks.program.wait_for_log("pack_registered")
    stub.script("event", StubResponse(503, headers={"Retry-After": "1"}))
    codes: list[int] = []
    sender = threading.Thread(target=lambda: codes.append(hooks.post("open").status_code))
    sender.start()
    hooks.program.wait_for_log("server_away")
    hooks.program.signal()
    sender.join(30)
    assert codes == [202]
    assert hooks.program.exit_code() == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"FLYTE_WEBHOOK_BIND": "example.org"},
            "FLYTE_WEBHOOK_BIND: invalid value 'example.org', must be an IP address",
        ),
        (
            {"FLYTE_WEBHOOK_PORT": "70000"},
            "FLYTE_WEBHOOK_PORT: invalid value '70000', must be a whole number from 0 to 65535",
        ),
        ({"FLYTE_WEBHOOK_BIND": "192.0.2.1"}, "FLYTE_WEBHOOK_PORT: can't listen on 192.0.2.1:9000"),
        ({"GITHUB_SECRET": ""}, "hooks[0].secret: environment variable GITHUB_SECRET is not set"),
        ({"FLYTE_WEBHOOK_CONFIG": "hooks: [{name: a}]"}, "hooks[0].sender: required"),
        ({"FLYTE_WEBHOOK_CONFIG": "hooks: [{name: a/b, sender: none}]"}, "hooks[0].name: invalid value"),
        (
            {"FLYTE_WEBHOOK_CONFIG": "hooks: [{name: a, sender: none, secret: B}]"},
            "hooks[0].secret: not used by the sender none",
        ),
        ({"FLYTE_WEBHOOK_CONFIG": "hooks: [{name: a, sender: github}]"}, "hooks[0].secret: required"),
        (
            {"FLYTE_WEBHOOK_CONFIG": "hooks: [{name: a, sender: none}, {name: a, sender: none}]"},
            "hooks[1].name: duplicate name 'a'",
        ),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, settings: dict[str, str], words: str
) -> None:
    variables = {"FLYTE_WEBHOOK_CONFIG": json.dumps({"hooks": HOOKS})} | SECRETS | settings
    program = start_pack("webhook", stub.url, **variables)
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith("Webhook: ")
    assert words in line
