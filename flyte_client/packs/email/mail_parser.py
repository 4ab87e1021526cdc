"""Parsing of a mail into an event's payload. Mail is untrusted: a malformed mail must not block other mails."""

import codecs
import hashlib
import logging
import re
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from typing import Any

from flyte_client.packs.email.mail_content import read_content
from flyte_client.packs.email.mail_text import (
    decode_escaped_bytes,
    get_raw_header,
    parse_header,
    parse_header_text,
    remove_unstorable,
)
from flyte_formats.characters import replace_control_characters
from flyte_time.times import parse_time

MAX_HEADER_LENGTH = 1000
MAX_ADDRESSES = 100
FORWARDED_HEADERS = ("In-Reply-To", "References", "List-Id", "Auto-Submitted", "Precedence", "Authentication-Results")
MAX_ADDRESSES_LENGTH = 20_000
# One of several addresses: up to a comma that is not in quotes.
_ADDRESS_PATTERN = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
SAFE_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")

logger = logging.getLogger(__name__)


def parse_mail(raw: bytes, size: int, attachment_bytes: int) -> dict[str, Any]:
    """Build the payload; `complete` is False if `raw` has only the headers of a mail of `size` bytes."""
    is_complete = len(raw) >= size
    raw = raw.removeprefix(codecs.BOM_UTF8)
    message = BytesHeaderParser(EmailMessage, policy=policy.default).parsebytes(raw)
    senders = _read_addresses(message, "From") or [{"name": "", "address": ""}]
    payload: dict[str, Any] = {
        "messageId": get_message_id(message),
        "from": senders[0],
        "to": _read_addresses(message, "To"),
        "cc": _read_addresses(message, "Cc"),
        "replyTo": _read_addresses(message, "Reply-To"),
        "subject": _read_header(message, "Subject"),
        "date": _read_date(message),
        "headers": {name: text for name in FORWARDED_HEADERS if (text := _read_header(message, name))},
        "size": size,
    }
    content = _parse_content(raw, attachment_bytes) if is_complete else None
    empty_content: dict[str, Any] = {"text": "", "html": "", "attachments": []}
    return payload | (content or empty_content) | {"complete": content is not None}


def get_message_id(message: EmailMessage) -> str:
    """Return the mail's id, '' if it has none."""
    return _read_header(message, "Message-ID").strip()


def build_event_key(payload: dict[str, Any], location: str) -> str:
    """Build the mail's idempotency key from its message id, or from its location if it has none."""
    name = payload["messageId"] or location
    return f"email/{name if SAFE_KEY.match(name) else hashlib.sha256(name.encode()).hexdigest()}"


def _parse_content(raw: bytes, attachment_bytes: int) -> dict[str, Any] | None:
    try:
        message = message_from_bytes(raw, EmailMessage, policy=policy.default)
        return read_content(message, attachment_bytes)
    except Exception:  # the standard library's parser raises many kinds of errors for malicious mail
        logger.warning("mail_unreadable")
        return None


def _read_header(message: EmailMessage, name: str) -> str:
    try:
        header = parse_header(message, name)
        text = "" if header is None else decode_escaped_bytes(str(header))
        return replace_control_characters(remove_unstorable(text), " ")[:MAX_HEADER_LENGTH]
    except Exception:  # as for contents
        logger.warning("header_unreadable name=%s", name)
        return ""


def _read_addresses(message: EmailMessage, name: str) -> list[dict[str, str]]:
    raw_value = get_raw_header(message, name)
    if raw_value is None:
        return []
    try:
        return _parse_addresses(name, raw_value)
    except Exception:  # as for contents
        logger.warning("header_unreadable name=%s", name)
    addresses: list[dict[str, str]] = []
    for part in _ADDRESS_PATTERN.findall(raw_value[:MAX_ADDRESSES_LENGTH]):
        with suppress(Exception):  # only this address is invalid
            addresses += _parse_addresses(name, part)
    return addresses[:MAX_ADDRESSES]


def _parse_addresses(name: str, text: str) -> list[dict[str, str]]:
    return [
        {
            "name": remove_unstorable(decode_escaped_bytes(address.display_name)),
            "address": remove_unstorable(decode_escaped_bytes(address.addr_spec)),
        }
        for address in parse_header_text(name, text).addresses[:MAX_ADDRESSES]
    ]


def _read_date(message: EmailMessage) -> str:
    """Return the date in RFC 3339, or '' if it is missing or can't be read."""
    raw_date = get_raw_header(message, "Date")
    if raw_date is None:
        return ""
    try:
        return parse_time(raw_date).isoformat()
    except ValueError as error:
        logger.warning("header_unreadable name=Date error=%s", error)
        return ""
