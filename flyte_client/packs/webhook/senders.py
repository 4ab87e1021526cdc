"""Senders of webhooks: for each, its proof, the headers and the delivery id for flows, and its challenges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flyte_client.packs.webhook.verification import (
    AnyCheck,
    Check,
    HmacCheck,
    NoCheck,
    TokenCheck,
    decode_standard_secret,
)

# The form field in which a sender that is set to form encoding sends the JSON document.
JSON_FORM_FIELD = "payload"


@dataclass(frozen=True)
class SenderPreset:
    """A named sender. `check` is None if it depends on the hook's other keys.

    `headers` are added to each event. `delivery_ids` are headers, or fields of the body such as `body.id`; the first
    that a request has is used. `json_field` is the field of a form that contains JSON. `keys` are the keys of the
    configuration that not all senders have.
    """

    check: Check | None = None
    headers: Sequence[str] = ()
    delivery_ids: Sequence[str] = ()
    json_field: str = ""
    keys: Sequence[str] = ("secret",)


STANDARD_WEBHOOKS = HmacCheck(
    "Webhook-Signature",
    prefix="v1,",
    encoding="base64",
    timestamp="Webhook-Timestamp",
    content="{Webhook-Id}.{timestamp}.{body}",
    decode_secret=decode_standard_secret,
)
HUB_SIGNATURE = HmacCheck("X-Hub-Signature", prefix="sha256=")
HUB_SIGNATURE_256 = HmacCheck("X-Hub-Signature-256", prefix="sha256=")

HMAC_KEYS = ("secret", "header", "prefix", "algorithm", "encoding", "timestamp", "signed", "tolerance", "url")

SENDERS: Mapping[str, SenderPreset] = {
    "github": SenderPreset(
        HUB_SIGNATURE_256, ("X-GitHub-Event", "X-GitHub-Delivery"), ("X-GitHub-Delivery",), json_field=JSON_FORM_FIELD
    ),
    "gitlab": SenderPreset(
        AnyCheck((STANDARD_WEBHOOKS, TokenCheck("X-Gitlab-Token"))),
        ("X-Gitlab-Event", "X-Gitlab-Event-UUID"),
        ("Idempotency-Key",),
    ),
    "gitea": SenderPreset(
        AnyCheck((HmacCheck("X-Gitea-Signature"), HUB_SIGNATURE_256)),
        ("X-Gitea-Event", "X-Gitea-Delivery"),
        ("X-Gitea-Delivery",),
        json_field=JSON_FORM_FIELD,
    ),
    # Cloud and Data Center name the id of a delivery differently.
    "bitbucket": SenderPreset(
        HUB_SIGNATURE, ("X-Event-Key", "X-Request-UUID", "X-Request-Id"), ("X-Request-UUID", "X-Request-Id")
    ),
    "jira": SenderPreset(HUB_SIGNATURE, ("X-Atlassian-Webhook-Identifier",), ("X-Atlassian-Webhook-Identifier",)),
    "pagerduty": SenderPreset(HmacCheck("X-PagerDuty-Signature", prefix="v1="), delivery_ids=("body.event.id",)),
    "slack": SenderPreset(
        HmacCheck(
            "X-Slack-Signature",
            prefix="v0=",
            timestamp="X-Slack-Request-Timestamp",
            content="v0:{timestamp}:{body}",
        ),
        delivery_ids=("body.event_id",),
        json_field=JSON_FORM_FIELD,
    ),
    "stripe": SenderPreset(
        HmacCheck("Stripe-Signature", prefix="v1=", timestamp="t=", content="{timestamp}.{body}"),
        delivery_ids=("body.id",),
    ),
    "alertmanager": SenderPreset(keys=("secret", "user")),
    "grafana": SenderPreset(keys=("secret", "user", "timestamp", "tolerance")),
    "meta": SenderPreset(HUB_SIGNATURE_256, keys=("secret", "verifyToken")),
    "graph": SenderPreset(NoCheck()),
    "trello": SenderPreset(delivery_ids=("body.action.id",), keys=("secret", "url")),
    "sns": SenderPreset(NoCheck(), ("X-Amz-Sns-Message-Type",), ("X-Amz-Sns-Message-Id",), keys=("topic", "confirm")),
    "standard": SenderPreset(STANDARD_WEBHOOKS, delivery_ids=("Webhook-Id",)),
    "hmac": SenderPreset(keys=HMAC_KEYS),
    "token": SenderPreset(keys=("secret", "header", "prefix")),
    "bearer": SenderPreset(TokenCheck("Authorization", "Bearer ")),
    "basic": SenderPreset(keys=("secret", "user")),
    "query": SenderPreset(keys=("secret", "parameter")),
    "none": SenderPreset(NoCheck(), keys=()),
}
