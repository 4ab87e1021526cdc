"""The Webhook pack's settings."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from flyte_client import settings
from flyte_client.errors import SettingsError
from flyte_client.packs.common import environment as variables
from flyte_client.packs.common.configuration import ConfigSection, check_unique_names, read_sections
from flyte_client.packs.webhook.checks import HEADER_NAME, build_check
from flyte_client.packs.webhook.senders import SENDERS, SenderPreset
from flyte_client.packs.webhook.verification import Check, NoCheck, QueryCheck

HOOK_KEYS = (
    "name",
    "sender",
    "event",
    "headers",
    "deliveryId",
    "methods",
    "secret",
    "user",
    "header",
    "prefix",
    "algorithm",
    "encoding",
    "timestamp",
    "tolerance",
    "signed",
    "url",
    "parameter",
    "verifyToken",
    "topic",
    "confirm",
)
COMMON_KEYS = HOOK_KEYS[:6]
ALLOWED_METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")
BODY_FIELD = re.compile(r"body(\.[A-Za-z0-9_-]{1,100}){1,5}\Z")
TOPIC_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,260}\Z")
MAX_HOOKS = 200


@dataclass(frozen=True)
class Hook:
    """The settings of one path.

    `secret` is empty if the sender has none. `authentication` is the scheme of HTTP that proves it: `Basic`, `Bearer`
    or ''. `delivery_ids` are headers, or fields of the body. `topic` is the ARN of the only topic from which SNS can
    send, and `confirms_topic` is True if its subscription is confirmed.
    """

    name: str
    sender: str
    secret: str = ""
    event: str = "Received"
    headers: tuple[str, ...] = ()
    delivery_ids: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("POST",)
    check: Check = field(default_factory=NoCheck)
    authentication: str = ""
    json_field: str = ""
    secret_parameter: str = ""
    verify_token: str = ""
    topic: str = ""
    confirms_topic: bool = False

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
    name = section.get_choice("sender", tuple(SENDERS))
    sender = SENDERS[name]
    for key in HOOK_KEYS:
        if section.has_value(key) and key not in (*COMMON_KEYS, *sender.keys):
            raise section.setting_error(key, f"not used by the sender {name}")
    check = sender.check or build_check(section, name)
    return Hook(
        name=section.get_name("name"),
        sender=name,
        secret=section.get_secret("secret", environment) if "secret" in sender.keys else "",
        event=section.get_name("event", "Received"),
        headers=_parse_headers(section, sender, check),
        delivery_ids=_parse_delivery_ids(section, sender),
        methods=_parse_methods(section),
        check=check,
        authentication=("Basic" if section.has_value("user") else "Bearer") if "Authorization" in check.names else "",
        json_field=sender.json_field,
        secret_parameter=check.parameter if isinstance(check, QueryCheck) else "",
        verify_token=section.get_secret("verifyToken", environment) if name == "meta" else "",
        topic=_parse_topic(section) if name == "sns" else "",
        confirms_topic=section.get_bool("confirm", False),
    )


def _parse_methods(section: ConfigSection) -> tuple[str, ...]:
    methods = section.get_texts("methods", ("POST",))
    if not methods or not set(methods) <= set(ALLOWED_METHODS):
        raise section.setting_error("methods", f"must be a non-empty list of {', '.join(ALLOWED_METHODS)}")
    return methods


def _parse_headers(section: ConfigSection, sender: SenderPreset, check: Check) -> tuple[str, ...]:
    names = section.get_texts("headers", ())
    if len(names) > 100 or not all(map(HEADER_NAME.match, names)):
        raise section.setting_error("headers", "must be a list of up to 100 header names")
    proofs = [name.lower() for name in check.names]
    if secret_headers := [name for name in names if name.lower() in proofs]:
        raise section.setting_error(
            "headers",
            f"{secret_headers[0]} is not allowed: it proves the sender, and the audit stores the headers of events",
        )
    return (*sender.headers, *names)


def _parse_delivery_ids(section: ConfigSection, sender: SenderPreset) -> tuple[str, ...]:
    if not section.has_value("deliveryId"):
        return tuple(sender.delivery_ids)
    name = section.get_text("deliveryId")
    if not HEADER_NAME.match(name) and not BODY_FIELD.match(name):
        raise section.setting_error("deliveryId", "must be a header name, or a field of the body such as body.id")
    return (name,)


def _parse_topic(section: ConfigSection) -> str:
    topic = section.get_text("topic")
    if not TOPIC_ARN.match(topic):
        raise section.setting_error(
            "topic", f"invalid value {topic[:100]!r}, must be an ARN such as arn:aws:sns:eu-west-1:123456789012:alerts"
        )
    return topic


def _read_bind_address(environment: Mapping[str, str]) -> str:
    value = variables.read_text(environment, "FLYTE_WEBHOOK_BIND", "127.0.0.1")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise SettingsError(f"FLYTE_WEBHOOK_BIND: invalid value {value!r}, must be an IP address") from None
