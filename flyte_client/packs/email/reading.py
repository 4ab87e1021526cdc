"""A mail's bytes as an event's payload. Mail comes from anybody: nothing in it may stop the reading of the others."""

import base64
import hashlib
import logging
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from typing import Any

LONGEST_TEXT = 50_000
LONGEST_HEADER = 1000
MOST_ADDRESSES = 100
MOST_ATTACHMENTS = 50
HEADERS = ("In-Reply-To", "References", "List-Id", "Auto-Submitted", "Precedence", "Authentication-Results")
PLAIN_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")

logger = logging.getLogger(__name__)


def read_mail(raw: bytes, size: int, attachment_bytes: int) -> dict[str, Any]:
    """The payload. `raw` may be the headers alone, `size` is the whole mail's; `complete` tells which it was."""
    message = BytesHeaderParser(EmailMessage, policy=policy.default).parsebytes(raw)
    senders = _addresses(message, "From") or [{"name": "", "address": ""}]
    payload: dict[str, Any] = {
        "messageId": message_id(message),
        "from": senders[0],
        "to": _addresses(message, "To"),
        "cc": _addresses(message, "Cc"),
        "replyTo": _addresses(message, "Reply-To"),
        "subject": _header(message, "Subject"),
        "date": _date(message),
        "headers": {name: text for name in HEADERS if (text := _header(message, name))},
        "size": size,
    }
    content = _content(raw, attachment_bytes) if len(raw) >= size else None
    nothing: dict[str, Any] = {"text": "", "html": "", "attachments": []}
    return payload | (content or nothing) | {"complete": content is not None}


def message_id(message: EmailMessage) -> str:
    """Empty where the mail has none."""
    return _header(message, "Message-ID").strip()


def key(payload: dict[str, Any], place: str) -> str:
    """What tells this mail from others; `place` (where it lies) does where it has no id of its own."""
    name = payload["messageId"] or place
    return f"email/{name if PLAIN_KEY.match(name) else hashlib.sha256(name.encode()).hexdigest()}"


def _content(raw: bytes, attachment_bytes: int) -> dict[str, Any] | None:
    try:
        message = message_from_bytes(raw, EmailMessage, policy=policy.default)
        return {
            "text": _text(message, "plain"),
            "html": _text(message, "html"),
            "attachments": _attachments(message, attachment_bytes),
        }
    except Exception:  # the standard library's parser raises all kinds of errors for mail that is made to harm
        logger.warning("mail_unreadable")
        return None


def _text(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        text = str(part.get_content())
    except LookupError:  # a character set that nobody knows
        text = _bytes(part).decode("latin-1")
    return _clean(text.replace("\r\n", "\n"))[:LONGEST_TEXT]


def _attachments(message: EmailMessage, attachment_bytes: int) -> list[dict[str, Any]]:
    left = attachment_bytes
    found = []
    for part in list(message.iter_attachments())[:MOST_ATTACHMENTS]:
        content = _bytes(part)
        name = _clean(part.get_filename() or "")[:LONGEST_HEADER]
        attachment = {"name": name, "type": part.get_content_type(), "size": len(content)}
        if len(content) <= left:
            left -= len(content)
            attachment["content"] = base64.b64encode(content).decode()
        found.append(attachment)
    return found


def _bytes(part: Any) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _header(message: EmailMessage, name: str) -> str:
    try:
        return _clean(str(message.get(name, "")))[:LONGEST_HEADER]
    except Exception:  # as for contents
        logger.warning("header_unreadable name=%s", name)
        return ""


def _addresses(message: EmailMessage, name: str) -> list[dict[str, str]]:
    try:
        header = message.get(name)
        addresses = header.addresses if header is not None else ()
        return [
            {"name": _clean(address.display_name), "address": _clean(address.addr_spec)}
            for address in addresses[:MOST_ADDRESSES]
        ]
    except Exception:  # as for contents
        logger.warning("header_unreadable name=%s", name)
        return []


def _date(message: EmailMessage) -> str:
    try:
        return str(message["Date"].datetime.isoformat())
    except Exception:  # as for contents; None where there is no date
        return ""


def _clean(text: str) -> str:
    """Without what can't stand in JSON, or in a database."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")
