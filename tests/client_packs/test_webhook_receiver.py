"""Requests to the Webhook pack, through its WSGI application: challenges, forms, repeats, and the log of refusals."""

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import pytest

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.packs.webhook.http_server import build_wsgi_app
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.settings import read_settings

pytestmark = pytest.mark.unit

FORM = "application/x-www-form-urlencoded"
HOOKS: list[dict[str, Any]] = [
    {"name": "github", "sender": "github", "secret": "SECRET"},
    {"name": "gitea", "sender": "gitea", "secret": "SECRET"},
    {"name": "chat", "sender": "slack", "secret": "SECRET"},
    {"name": "page", "sender": "meta", "secret": "SECRET", "verifyToken": "TOKEN"},
    {"name": "teams", "sender": "graph", "secret": "SECRET"},
    {"name": "board", "sender": "trello", "secret": "SECRET", "url": "https://example.com/hooks/board"},
    {"name": "pay", "sender": "none", "deliveryId": "body.order.id"},
    {"name": "query", "sender": "query", "secret": "SECRET", "methods": ["GET", "POST"]},
    {"name": "bearer", "sender": "bearer", "secret": "SECRET"},
    {"name": "basic", "sender": "basic", "secret": "SECRET", "user": "u"},
]


class WebhookClient:
    """Sender of requests to the application; `sent` has the payloads and keys of events, and `error` fails them."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, str | None]] = []
        self.error: Exception | None = None
        environment = {"FLYTE_WEBHOOK_CONFIG": json.dumps({"hooks": HOOKS}), "SECRET": "s", "TOKEN": "t"}
        settings = read_settings(environment)
        self._app = build_wsgi_app(WebhookReceiver(settings.hooks, self._send, 100_000), 100_000)

    def _send(self, name: str, payload: Any, key: str | None) -> bool:
        if self.error:
            raise self.error
        is_new = key is None or key not in [sent_key for _, sent_key in self.sent]
        self.sent.append((payload, key))
        return is_new

    def request(
        self,
        path: str,
        body: bytes = b"{}",
        *,
        method: str = "POST",
        content_type: str = "application/json",
        **headers: str,
    ) -> tuple[int, str, Mapping[str, str]]:
        """Return the status, the text and the headers of the response."""
        route, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": f"/hooks/{route}",
            "QUERY_STRING": query,
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "192.0.2.7",
            "wsgi.input": BytesIO(body),
        } | {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        answers: list[tuple[str, list[tuple[str, str]]]] = []
        content = b"".join(self._app(environ, lambda status, headers: answers.append((status, headers))))
        ((status, headers_sent),) = answers
        return int(status[:3]), content.decode(), dict(headers_sent)

    def github(self, body: bytes, content_type: str, path: str = "github", **headers: str) -> tuple[int, str]:
        signature = f"sha256={hmac.new(b's', body, hashlib.sha256).hexdigest()}"
        return self.request(path, body, content_type=content_type, x_hub_signature_256=signature, **headers)[:2]


@pytest.fixture
def client() -> WebhookClient:
    return WebhookClient()


@pytest.mark.parametrize("hook", ["github", "gitea"])
def test_a_form_of_github_has_the_same_payload_as_json(client: WebhookClient, hook: str) -> None:
    document = json.dumps({"ref": "refs/heads/main", "text": "é 🚀 &=%"}).encode()
    assert client.github(document, "application/json", hook) == (202, "accepted\n")
    assert client.github(urlencode({"payload": document}).encode(), FORM, hook) == (202, "accepted\n")
    (as_json, _), (as_form, _) = client.sent
    assert as_json == as_form
    assert as_form["body"] == json.loads(document)
    status, text = client.github(b"payload=%7B", FORM, hook)
    assert (status, "request body is not valid JSON" in text) == (400, True)


def test_other_forms_stay_forms(client: WebhookClient) -> None:
    client.github(b"payload=1&other=2", FORM)
    client.request("pay", b"payload=%7B%7D", content_type=FORM)
    assert [payload["body"] for payload, _ in client.sent] == [{"payload": "1", "other": "2"}, {"payload": "{}"}]


def test_a_trailing_slash_is_the_same_hook(client: WebhookClient) -> None:
    assert client.request("pay/")[0] == 202
    assert client.sent[0][0]["path"] == "/hooks/pay"
    assert client.request("pay/x")[0] == 404


def test_a_repeated_delivery_is_reported_as_one(client: WebhookClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    body = b'{"order": {"id": 17}}'
    assert client.request("pay", body)[:2] == (202, "accepted\n")
    assert client.request("pay", body)[:2] == (202, "already received: this delivery counts once\n")
    assert client.sent[0][1] == "webhook/pay/17"
    assert "event_repeated hook=pay key=webhook/pay/17" in caplog.text
    for other in (b'{"order": {"id": true}}', b'{"order": 1}', b"[]", b'{"order": {"id": ""}}'):
        client.request("pay", other)
    assert {key for _, key in client.sent[2:]} == {None}


def test_slacks_event_id_is_the_delivery_and_its_challenge_is_repeated(client: WebhookClient) -> None:
    def post(body: bytes, content_type: str = "application/json") -> tuple[int, str]:
        stamp = str(int(time.time()))
        signature = hmac.new(b"s", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {"x_slack_request_timestamp": stamp, "x_slack_signature": f"v0={signature}"}
        return client.request("chat", body, content_type=content_type, **headers)[:2]

    assert post(b'{"type": "url_verification", "challenge": "3eZ\\u00e9"}') == (200, "3eZé")
    assert post(b'{"type": "url_verification"}')[0] == 400
    assert post(b'{"type": "event_callback", "event_id": "Ev1"}') == (202, "accepted\n")
    assert post(urlencode({"payload": '{"type": "block_actions"}'}).encode(), FORM) == (202, "accepted\n")
    assert [(payload["body"]["type"], key) for payload, key in client.sent] == [
        ("event_callback", "webhook/chat/Ev1"),
        ("block_actions", None),
    ]


def test_metas_challenge_is_repeated_if_its_token_is_right(client: WebhookClient) -> None:
    query = "page?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
    assert client.request(f"{query}t", b"", method="GET")[:2] == (200, "1158201444")
    assert client.request(f"{query}u", b"", method="GET")[:2] == (403, "wrong query parameter hub.verify_token\n")
    assert client.request("page", b"", method="GET")[0] == 400
    assert client.request("page?hub.mode=subscribe&hub.verify_token=t", b"", method="GET")[0] == 400
    assert client.github(b"{}", "application/json", "page")[0] == 202
    assert client.request("page", b"{}")[0] == 401
    assert client.request("page", b"", method="PUT")[0] == 405


def test_graphs_challenge_is_repeated_and_its_state_is_verified_and_removed(client: WebhookClient) -> None:
    status, text, headers = client.request("teams?validationToken=a%20%3Cb%3E", b"")
    assert (status, text, headers["Content-Type"]) == (200, "a <b>", "text/plain; charset=utf-8")
    notification = {"clientState": "s", "resource": "users/1", "changeType": "created"}
    assert client.request("teams", json.dumps({"value": [notification]}).encode())[0] == 202
    assert client.sent[0][0]["body"] == {"value": [{"resource": "users/1", "changeType": "created"}]}
    others = [
        {"value": [notification, {}]},
        {"value": [notification | {"clientState": "x"}]},
        {"value": {}},
        {"value": []},
        [],
        None,
    ]
    for other in others:
        assert client.request("teams", json.dumps(other).encode())[0] == 401
    assert len(client.sent) == 1
    assert client.request(f"teams?validationToken={'x' * 2001}", b"")[0] == 400


def test_trellos_head_request_is_answered(client: WebhookClient) -> None:
    assert client.request("board", b"", method="HEAD")[:2] == (200, "")
    assert client.request("pay", b"", method="HEAD")[0] == 405
    assert client.request("board", b"{}")[0] == 401


def test_a_token_in_the_query_does_not_reach_the_event(client: WebhookClient) -> None:
    assert client.request("query?token=s&a=1", b"", method="GET")[0] == 202
    assert client.sent[0][0]["query"] == {"a": "1"}


@pytest.mark.parametrize(("hook", "challenge"), [("bearer", 'Bearer realm="bearer"'), ("basic", 'Basic realm="basic"')])
def test_http_authentication_is_requested(client: WebhookClient, hook: str, challenge: str) -> None:
    status, text, headers = client.request(hook)
    assert (status, text, headers["WWW-Authenticate"]) == (401, "missing header Authorization\n", challenge)


@pytest.mark.parametrize(
    ("path", "options", "error", "line"),
    [
        ("none", {}, None, "method=POST path='/hooks/none' status=404 reason='hook not found' address=192.0.2.7"),
        ("a\n\x1b", {}, None, "path='/hooks/a\\n\\x1b' status=404"),
        ("pay", {"method": "PUT"}, None, "method=PUT path='/hooks/pay' status=405 reason='method PUT not allowed'"),
        ("github", {}, None, "path='/hooks/github' status=401 reason='missing header X-Hub-Signature-256'"),
        ("query?token=x", {}, None, "path='/hooks/query' status=401 reason='wrong token in query parameter token'"),
        ("pay", {"body": b"{"}, None, "status=400 reason='request body is not valid JSON: "),
        (
            "pay",
            {"body": b'{"a": 1e999}'},
            None,
            "status=400 reason='request body is not valid JSON: 1e999 is not a number",
        ),
        ("pay", {"content_type": "image/png"}, None, "status=415 reason=\"unsupported media type 'image/png'"),
        ("pay", {"body": b" " * 100_001}, None, "status=413 reason='request body exceeds the limit of 100000 bytes'"),
        ("pay", {}, RefusedError(422, "key reused"), "status=409 reason='422: key reused'"),
        ("pay", {}, RefusedError(403, "token expired"), "status=503 reason='403: token expired'"),
        ("pay", {}, ServerAwayError("can't reach http://x"), 'status=503 reason="can\'t reach http://x"'),
    ],
)
def test_each_refusal_is_logged_with_its_reason(
    client: WebhookClient,
    caplog: pytest.LogCaptureFixture,
    path: str,
    options: dict[str, Any],
    error: Exception | None,
    line: str,
) -> None:
    client.error = error
    status = client.request(path, **options)[0]
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert status >= 400
    assert record.getMessage().startswith("request_refused ")
    assert line in record.getMessage()
