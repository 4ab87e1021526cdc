"""The Webhook pack's settings."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.packs.basis.configuration import Section, check_unique, sections
from flyte_client.packs.webhook.signatures import CHECKS

KNOWN = ("name", "sender", "secret", "event", "headers", "deliveryId", "methods")
METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
HEADER = re.compile(r"[A-Za-z0-9-]{1,100}\Z")
MOST_HOOKS = 200
# What names a delivery, so that one that is made again counts once, and what tells flows what it is about.
DELIVERY_IDS = {"github": "X-GitHub-Delivery", "gitlab": "Idempotency-Key"}
HEADERS = {"github": ("X-GitHub-Event", "X-GitHub-Delivery"), "gitlab": ("X-Gitlab-Event", "X-Gitlab-Event-UUID")}


@dataclass(frozen=True)
class Hook:
    """One path. `secret` is empty only where `sender` is `none`: then anybody may send."""

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
class Settings:
    """`send_within` is for how many seconds a request waits for the Flyte server."""

    hooks: tuple[Hook, ...]
    host: str
    port: int
    threads: int
    waiting: int
    max_bytes: int
    send_within: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsError` for what can't be used."""
    found = [
        (section, _hook(section, environment))
        for section in sections(environment, "FLYTE_WEBHOOK", "hooks", KNOWN, MOST_HOOKS)
    ]
    check_unique([(section, hook.name) for section, hook in found])
    return Settings(
        hooks=tuple(hook for _, hook in found),
        host=_address(environment),
        port=variables.whole(environment, "FLYTE_WEBHOOK_PORT", 9000, 0, 65535),
        threads=variables.whole(environment, "FLYTE_WEBHOOK_THREADS", 8, 1, 256),
        waiting=variables.whole(environment, "FLYTE_WEBHOOK_WAITING", 32, 1, 10000),
        max_bytes=variables.whole(environment, "FLYTE_WEBHOOK_MAX_BYTES", 512 * 1024, 1, 64 * 1024 * 1024),
        send_within=settings.seconds(environment, "FLYTE_WEBHOOK_SEND_SECONDS", 5.0),
    )


def _hook(section: Section, environment: Mapping[str, str]) -> Hook:
    sender = section.choice("sender", (*CHECKS, "none"))
    if sender == "none" and section.has("secret"):
        raise section.wrong("secret", "is for senders that sign; `sender` says none")
    methods = section.texts("methods", ("POST",))
    if not methods or not set(methods) <= set(METHODS):
        raise section.wrong("methods", f"must be a list of some of {', '.join(METHODS)}")
    return Hook(
        name=section.name("name"),
        sender=sender,
        secret="" if sender == "none" else section.secret("secret", environment),
        event=section.name("event", "Received"),
        headers=(*HEADERS.get(sender, ()), *_headers(section)),
        delivery_id=_delivery_id(section, sender),
        methods=methods,
    )


def _headers(section: Section) -> tuple[str, ...]:
    names = section.texts("headers", ())
    if len(names) > 100 or not all(map(HEADER.match, names)):
        raise section.wrong("headers", "must be a list of up to 100 names of headers")
    return names


def _delivery_id(section: Section, sender: str) -> str:
    if not section.has("deliveryId"):
        return DELIVERY_IDS.get(sender, "")
    name = section.text("deliveryId")
    if not HEADER.match(name):
        raise section.wrong("deliveryId", "must be the name of a header")
    return name


def _address(environment: Mapping[str, str]) -> str:
    given = variables.text(environment, "FLYTE_WEBHOOK_BIND", "127.0.0.1")
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        raise SettingsError(f"FLYTE_WEBHOOK_BIND: is {given!r}, but must be an IP address") from None
