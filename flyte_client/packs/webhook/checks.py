"""Checks of the senders that are configured by a hook's keys."""

import re
from urllib.parse import urlsplit

from flyte_client.packs.common.configuration import ConfigSection
from flyte_client.packs.webhook.verification import (
    ALGORITHMS,
    DEFAULT_TOLERANCE_SECONDS,
    ENCODINGS,
    PLACEHOLDER,
    AnyCheck,
    BasicCheck,
    Check,
    HmacCheck,
    QueryCheck,
    TokenCheck,
)

HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,100}\Z")
TIME_PREFIX = re.compile(r"[A-Za-z0-9_]{1,20}=\Z")
MAX_TOLERANCE_SECONDS = 24 * 60 * 60
GRAFANA_SIGNATURE = "X-Grafana-Alerting-Signature"


def build_check(section: ConfigSection, sender: str) -> Check:
    """Build the check of a sender that is configured by keys. Raises `SettingsError`."""
    match sender:
        case "hmac":
            return _build_hmac_check(section)
        case "trello":
            url = _get_url(section)
            return HmacCheck("X-Trello-Webhook", algorithm="sha1", encoding="base64", content="{body}{url}", url=url)
        case "token":
            return TokenCheck(_get_header(section, "header"), _get_optional(section, "prefix"))
        case "query":
            return QueryCheck(section.get_text("parameter", "token"))
        case "basic":
            return BasicCheck(section.get_text("user"))
        case "grafana":
            return AnyCheck((_build_grafana_check(section), _build_authorization_check(section)))
        case _:
            return _build_authorization_check(section)


def _build_authorization_check(section: ConfigSection) -> Check:
    return BasicCheck(section.get_text("user")) if section.has_value("user") else TokenCheck("Authorization", "Bearer ")


def _build_grafana_check(section: ConfigSection) -> Check:
    timestamp = _get_header(section, "timestamp") if section.has_value("timestamp") else ""
    content = "{timestamp}:{body}" if timestamp else "{body}"
    return HmacCheck(GRAFANA_SIGNATURE, timestamp=timestamp, content=content, tolerance=_get_tolerance(section))


def _build_hmac_check(section: ConfigSection) -> Check:
    timestamp = _get_optional(section, "timestamp")
    if timestamp and not TIME_PREFIX.match(timestamp):
        timestamp = _get_header(section, "timestamp")
    url = _get_url(section) if section.has_value("url") else ""
    return HmacCheck(
        _get_header(section, "header"),
        prefix=_get_optional(section, "prefix"),
        algorithm=section.get_choice("algorithm", ALGORITHMS, ALGORITHMS[0]),
        encoding=section.get_choice("encoding", tuple(ENCODINGS), "hex"),
        timestamp=timestamp,
        content=_get_signed_content(section, timestamp, url),
        tolerance=_get_tolerance(section),
        url=url,
    )


def _get_signed_content(section: ConfigSection, timestamp: str, url: str) -> str:
    content = section.get_text("signed", "{timestamp}.{body}" if timestamp else "{body}{url}" if url else "{body}")
    names = PLACEHOLDER.findall(content)
    for name, is_required in (("body", True), ("timestamp", bool(timestamp)), ("url", bool(url))):
        if is_required and name not in names:
            raise section.setting_error("signed", f"must contain {{{name}}}, or the signature does not cover it")
        if not is_required and name in names:
            raise section.setting_error("signed", f"{{{name}}} requires the key {name}")
    return content


def _get_header(section: ConfigSection, key: str) -> str:
    name = section.get_text(key)
    if not HEADER_NAME.match(name):
        raise section.setting_error(key, f"invalid value {name[:100]!r}, must be a header name")
    return name


def _get_optional(section: ConfigSection, key: str) -> str:
    return section.get_text(key) if section.has_value(key) else ""


def _get_tolerance(section: ConfigSection) -> float:
    if not section.has_value("tolerance"):
        return DEFAULT_TOLERANCE_SECONDS
    return section.get_seconds("tolerance", MAX_TOLERANCE_SECONDS)


def _get_url(section: ConfigSection) -> str:
    url = section.get_text("url")
    if urlsplit(url).scheme not in ("http", "https"):
        raise section.setting_error("url", f"invalid value {url[:100]!r}, must be the hook's URL at the sender")
    return url
