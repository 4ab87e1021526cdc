"""The cases of the flows in examples/operations: their sources as packs receive them, and the programs for scripts."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from flyte_client.packs.email.mail_parser import parse_mail
from flyte_client.packs.webhook.http_messages import WebhookRequest
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.settings import read_settings
from tests.server import ROOT

FLOWS = ROOT / "examples" / "operations"
TEAMS = {"shop": "shop-team@example.com"}
SECRET = "s3cret"
TICK_TIME = "2026-11-30T07:00:00Z"
HOOKS: list[dict[str, Any]] = [
    {"name": "code", "sender": "github", "secret": "HOOK_SECRET"},
    {"name": "alerts", "sender": "alertmanager", "secret": "HOOK_SECRET"},
    {"name": "other", "sender": "bearer", "secret": "HOOK_SECRET"},
    {"name": "incidents", "sender": "pagerduty", "secret": "HOOK_SECRET"},
    {"name": "pipelines", "sender": "gitlab", "secret": "HOOK_SECRET"},
    {"name": "pushes", "sender": "gitea", "secret": "HOOK_SECRET"},
    {"name": "tickets", "sender": "jira", "secret": "HOOK_SECRET"},
    {"name": "payments", "sender": "stripe", "secret": "HOOK_SECRET"},
    {"name": "errors", "sender": "hmac", "secret": "HOOK_SECRET", "header": "Sentry-Hook-Signature"},
    {"name": "contact", "sender": "query", "secret": "HOOK_SECRET"},
    {"name": "commands", "sender": "slack", "secret": "HOOK_SECRET"},
    {"name": "logs", "sender": "bearer", "secret": "HOOK_SECRET"},
]
WEBHOOK_SETTINGS = {"FLYTE_WEBHOOK_CONFIG": json.dumps({"hooks": HOOKS}), "HOOK_SECRET": SECRET}


@dataclass(frozen=True)
class OperationCase:
    """A case of a flow; `name` is the flow's and the number of the case."""

    name: str
    flow: str
    fields: Mapping[str, Any]

    @property
    def scripts(self) -> list[Any]:
        return list(self.fields.get("shell", []))

    @property
    def mail(self) -> Any:
        return self.fields.get("mail")


def read_cases() -> list[OperationCase]:
    """Return all cases of all flows."""
    document = yaml.safe_load(Path(__file__).with_name("operations.yaml").read_text())
    return [
        OperationCase(f"{flow}-{number}", flow, {key: table[key] for key in table if key != "cases"} | fields)
        for flow, table in document.items()
        for number, fields in enumerate(table["cases"], 1)
    ]


def write_programs(case: OperationCase, folder: Path) -> None:
    """Write the programs that the scripts call."""
    folder.mkdir(exist_ok=True)
    for name, script in case.fields.get("programs", {}).items():
        path = folder / name
        path.write_text(f"#!/usr/bin/env bash\n{script}\n")
        path.chmod(0o755)


def read_event(case: OperationCase) -> tuple[str, str, Any]:
    """Return the pack, the name and the payload of the case's event, as the real pack sends it."""
    if "timer" in case.fields:
        return "Timer", "Tick", {"time": TICK_TIME, "data": {}} | case.fields["timer"]
    if "message" in case.fields:
        raw = case.fields["message"].replace("\n", "\r\n").encode()
        return "Email", "EmailReceived", parse_mail(raw, len(raw), 100_000)
    payloads: list[Any] = []

    def send(name: str, payload: Any, key: str | None) -> bool:
        payloads.append(payload)
        return True

    url, headers, body = build_request(case)
    path, _, query = url.partition("?")
    receiver = WebhookReceiver(read_settings(WEBHOOK_SETTINGS).hooks, send, 100_000)
    sent = {name.lower(): value for name, value in headers.items()}
    response = receiver.receive(WebhookRequest("POST", path, query, sent, body))
    assert response.status == 202, response
    return "Webhook", "Received", payloads[0]


def build_request(case: OperationCase) -> tuple[str, Mapping[str, str], bytes]:
    """Return the path, the headers and the body of the case's request, with the proof of its sender."""
    request = case.fields["request"]
    (sender,) = [hook["sender"] for hook in HOOKS if hook["name"] == request["hook"]]
    content_type, body = _encode_body(request["body"], request.get("encoding", "json"), sender)
    query = f"?token={SECRET}" if sender == "query" else ""
    headers = request.get("headers", {}) | {"Content-Type": content_type} | _sign(sender, body)
    return f"/hooks/{request['hook']}{query}", headers, body


def _encode_body(value: Any, encoding: str, sender: str) -> tuple[str, bytes]:
    document = json.dumps(value).encode()
    match encoding:
        case "form":
            fields = {"payload": document} if sender == "github" else value
            return "application/x-www-form-urlencoded", urlencode(fields).encode()
        case "multipart":
            parts = [f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in value.items()]
            return "multipart/form-data; boundary=x", f"{''.join(parts)}--x--\r\n".encode()
        case "ndjson":
            return "application/x-ndjson", b"\n".join(json.dumps(line).encode() for line in value)
        case _:
            return "application/json", document


def _sign(sender: str, body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    match sender:
        case "github":
            return {"X-Hub-Signature-256": f"sha256={_compute_hmac(body)}", "X-GitHub-Delivery": _compute_hmac(body)}
        case "pagerduty":
            return {"X-PagerDuty-Signature": f"v1={_compute_hmac(body)}"}
        case "gitlab":
            return {"X-Gitlab-Token": SECRET}
        case "gitea":
            return {"X-Gitea-Signature": _compute_hmac(body)}
        case "jira":
            return {"X-Hub-Signature": f"sha256={_compute_hmac(body)}"}
        case "stripe":
            return {"Stripe-Signature": f"t={now},v1={_compute_hmac(now.encode() + b'.' + body)}"}
        case "slack":
            signature = _compute_hmac(f"v0:{now}:".encode() + body)
            return {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": f"v0={signature}"}
        case "hmac":
            return {"Sentry-Hook-Signature": _compute_hmac(body)}
        case "query":
            return {}
        case _:
            return {"Authorization": f"Bearer {SECRET}"}


def _compute_hmac(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
