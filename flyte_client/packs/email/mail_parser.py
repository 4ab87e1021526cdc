"""Parsing of a mail into an event's payload. Mail is untrusted: a malformed mail must not block other mails."""

import base64
import hashlib
import logging
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from typing import Any

MAX_TEXT_LENGTH = 50_000
MAX_HEADER_LENGTH = 1000
MAX_ADDRESSES = 100
MAX_ATTACHMENTS = 50
FORWARDED_HEADERS = ("In-Reply-To", "References", "List-Id", "Auto-Submitted", "Precedence", "Authentication-Results")
SAFE_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")

logger = logging.getLogger(__name__)


def parse_mail(raw: bytes, size: int, attachment_bytes: int) -> dict[str, Any]:
    """Build the payload; `complete` is False if `raw` has only the headers of a mail of `size` bytes."""
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
    content = _parse_content(raw, attachment_bytes) if len(raw) >= size else None
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
        return {
            "text": _read_text(message, "plain"),
            "html": _read_text(message, "html"),
            "attachments": _read_attachments(message, attachment_bytes),
        }
    except Exception:  # the standard library's parser raises many kinds of errors for malicious mail
        logger.warning("mail_unreadable")
        return None


def _read_text(message: EmailMessage, subtype: str) -> str:
    part = message.get_body(preferencelist=(subtype,))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except LookupError:  # an unknown character set
        text = _decode_part(part).decode("latin-1")
    return _remove_unstorable(text.replace("\r\n", "\n"))[:MAX_TEXT_LENGTH]


def _read_attachments(message: EmailMessage, attachment_bytes: int) -> list[dict[str, Any]]:
    remaining_bytes = attachment_bytes
    attachments = []
    for part in list(message.iter_attachments())[:MAX_ATTACHMENTS]:
        content = _decode_part(part)
        name = _remove_unstorable(part.get_filename() or "")[:MAX_HEADER_LENGTH]
        attachment = {"name": name, "type": part.get_content_type(), "size": len(content)}
        if len(content) <= remaining_bytes:
            remaining_bytes -= len(content)
            attachment["content"] = base64.b64encode(content).decode()
        attachments.append(attachment)
    return attachments


def _decode_part(part: Any) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _read_header(message: EmailMessage, name: str) -> str:
    try:
        return _remove_unstorable(str(message.get(name, "")))[:MAX_HEADER_LENGTH]
    except Exception:  # as for contents
        logger.warning("header_unreadable name=%s", name)
        return ""


def _read_addresses(message: EmailMessage, name: str) -> list[dict[str, str]]:
    try:
        header = message.get(name)
        addresses = header.addresses if header is not None else ()
        return [
            {"name": _remove_unstorable(address.display_name), "address": _remove_unstorable(address.addr_spec)}
            for address in addresses[:MAX_ADDRESSES]
        ]
    except Exception:  # as for contents
        logger.warning("header_unreadable name=%s", name)
        return []


def _read_date(message: EmailMessage) -> str:
    try:
        return str(message["Date"].datetime.isoformat())
    except Exception:  # as for contents; None without a date
        return ""


def _remove_unstorable(text: str) -> str:
    """Remove characters that JSON or databases can't store."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
