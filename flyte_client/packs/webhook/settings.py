"""The Webhook pack's settings."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.configuration import ConfigSection, check_unique_names, read_sections
from flyte_client.packs.webhook.signatures import SIGNATURE_CHECKS

HOOK_KEYS = ("name", "sender", "secret", "event", "headers", "deliveryId", "methods")
ALLOWED_METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,100}\Z")
MAX_HOOKS = 200
# The header with the delivery's id, so that a repeated delivery counts once, and headers that flows need.
DELIVERY_ID_HEADERS = {"github": "X-GitHub-Delivery", "gitlab": "Idempotency-Key"}
FORWARDED_HEADERS = {
    "github": ("X-GitHub-Event", "X-GitHub-Delivery"),
    "gitlab": ("X-Gitlab-Event", "X-Gitlab-Event-UUID"),
}


@dataclass(frozen=True)
class Hook:
    """The settings of one path. `secret` is empty only for the sender `none`: then requests are not verified."""

    name: str
    sender: str
    secret: str
    event: str
    headers: tuple[str, ...]
    delivery_id: str
    methods: tuple[str, ...]

    @property
    def path(self) -> str:
        return f"/hooks/{self.name}"


@dataclass(frozen=True)
class WebhookSettings:
    """Settings; `send_timeout` is the time in seconds that a request waits for the Flyte server."""

    hooks: tuple[Hook, ...]
    host: str
    port: int
    threads: int
    backlog: int
    max_bytes: int
    send_timeout: float


def read_settings(environment: Mapping[str, str]) -> WebhookSettings:
    """Read the settings. Raises `SettingsError` for invalid ones."""
    hooks = [
        (section, _parse_hook(section, environment))
        for section in read_sections(environment, "FLYTE_WEBHOOK", "hooks", HOOK_KEYS, MAX_HOOKS)
    ]
    check_unique_names([(section, hook.name) for section, hook in hooks])
    return WebhookSettings(
        hooks=tuple(hook for _, hook in hooks),
        host=_read_bind_address(environment),
        port=variables.read_int(environment, "FLYTE_WEBHOOK_PORT", 9000, 0, 65535),
        threads=variables.read_int(environment, "FLYTE_WEBHOOK_THREADS", 8, 1, 256),
        backlog=variables.read_int(environment, "FLYTE_WEBHOOK_WAITING", 32, 1, 10000),
        max_bytes=variables.read_int(environment, "FLYTE_WEBHOOK_MAX_BYTES", 512 * 1024, 1, 64 * 1024 * 1024),
        send_timeout=settings.read_seconds(environment, "FLYTE_WEBHOOK_SEND_SECONDS", 5.0),
    )


def _parse_hook(section: ConfigSection, environment: Mapping[str, str]) -> Hook:
    sender = section.get_choice("sender", (*SIGNATURE_CHECKS, "none"))
    if sender == "none" and section.has_value("secret"):
        raise section.setting_error("secret", "not allowed with the sender none, which does not sign")
    methods = section.get_texts("methods", ("POST",))
    if not methods or not set(methods) <= set(ALLOWED_METHODS):
        raise section.setting_error("methods", f"must be a non-empty list of {', '.join(ALLOWED_METHODS)}")
    return Hook(
        name=section.get_name("name"),
        sender=sender,
        secret="" if sender == "none" else section.get_secret("secret", environment),
        event=section.get_name("event", "Received"),
        headers=(*FORWARDED_HEADERS.get(sender, ()), *_parse_headers(section)),
        delivery_id=_parse_delivery_id(section, sender),
        methods=methods,
    )


def _parse_headers(section: ConfigSection) -> tuple[str, ...]:
    names = section.get_texts("headers", ())
    if len(names) > 100 or not all(map(HEADER_NAME.match, names)):
        raise section.setting_error("headers", "must be a list of up to 100 header names")
    return names


def _parse_delivery_id(section: ConfigSection, sender: str) -> str:
    if not section.has_value("deliveryId"):
        return DELIVERY_ID_HEADERS.get(sender, "")
    name = section.get_text("deliveryId")
    if not HEADER_NAME.match(name):
        raise section.setting_error("deliveryId", "must be a header name")
    return name


def _read_bind_address(environment: Mapping[str, str]) -> str:
    value = variables.read_text(environment, "FLYTE_WEBHOOK_BIND", "127.0.0.1")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise SettingsError(f"FLYTE_WEBHOOK_BIND: invalid value {value!r}, must be an IP address") from None
