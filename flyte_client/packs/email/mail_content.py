"""The content of a mail: text, HTML, calendar, delivery status, and attachments."""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from email import message_from_string, policy
from email.message import EmailMessage, Message
from typing import Any

from flyte_client.packs.email.mail_text import decode_escaped_bytes, parse_header, remove_unstorable
from flyte_formats.decoding import decode_text

MAX_TEXT_LENGTH = 50_000
MAX_NAME_LENGTH = 1000
MAX_ATTACHMENTS = 50
MAX_STATUS_RECIPIENTS = 100
AS_RECEIVED = policy.SMTP.clone(refold_source="none")
STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
TYPE_PREFIX = re.compile(r"^[A-Za-z0-9-]{1,40};\s*")
# The fields of RFC 3464 that a flow needs, and their names in the payload.
STATUS_FIELDS = {
    "Final-Recipient": "recipient",
    "Original-Recipient": "originalRecipient",
    "Action": "action",
    "Status": "status",
    "Diagnostic-Code": "diagnostic",
    "Remote-MTA": "server",
}


def read_content(message: EmailMessage, attachment_bytes: int) -> dict[str, Any]:
    """Return the payload's fields for the content; `calendar` and `deliveryStatus` only if the mail has them."""
    plain, html = (message.get_body(preferencelist=(subtype,)) for subtype in ("plain", "html"))
    parts = list(_iter_leaf_parts(message))
    content: dict[str, Any] = {
        "text": _read_text(plain),
        "html": _read_text(html),
        "attachments": _read_attachments([part for part in parts if part not in (plain, html)], attachment_bytes),
    }
    if calendars := [part for part in parts if part.get_content_type() == "text/calendar"]:
        content["calendar"] = _read_text(calendars[0])
    if reports := [part for part in parts if part.get_content_type() in STATUS_TYPES]:
        content["deliveryStatus"] = _parse_delivery_status(_decode_part(reports[0]))
    return content


def _iter_leaf_parts(message: Any) -> Iterator[Any]:
    """Yield the parts that have content; an attached message is one part, whatever it contains."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            yield from _iter_leaf_parts(part)
    else:
        yield message


def _read_text(part: Message | None) -> str:
    if part is None:
        return ""
    text = decode_text(_decode_part(part), _get_charset(part))
    return remove_unstorable(text.replace("\r\n", "\n"))[:MAX_TEXT_LENGTH]


def _get_charset(part: Message) -> str:
    try:
        return str(part.get_content_charset("") or "")
    except (LookupError, ValueError):  # a parameter in an unknown encoding (RFC 2231)
        return ""


def _read_attachments(parts: list[Message], attachment_bytes: int) -> list[dict[str, Any]]:
    remaining_bytes = attachment_bytes
    attachments = []
    for part in parts[:MAX_ATTACHMENTS]:
        content = _decode_part(part)
        attachment = {"name": _read_file_name(part), "type": part.get_content_type(), "size": len(content)}
        if len(content) <= remaining_bytes:
            remaining_bytes -= len(content)
            attachment["content"] = base64.b64encode(content).decode()
        attachments.append(attachment)
    return attachments


def _read_file_name(part: Message) -> str:
    for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        if name := getattr(parse_header(part, header), "params", {}).get(parameter):
            return remove_unstorable(decode_escaped_bytes(name))[:MAX_NAME_LENGTH]
    return ""


def _decode_part(part: Message) -> bytes:
    """Return the part's bytes. The parser splits attached messages and reports into messages: join them again."""
    if not part.is_multipart():
        content = part.get_payload(decode=True)
        return content if isinstance(content, bytes) else b""
    source = b"".join(
        nested.as_bytes(policy=AS_RECEIVED) for nested in part.get_payload() if isinstance(nested, Message)
    )
    if part.get_content_type() == "message/delivery-status":
        source = source.removesuffix(b"\r\n")  # the parser adds an empty message at the end
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding == "quoted-printable":
        return quopri.decodestring(source)
    try:  # not allowed for messages, but sent
        return binascii.a2b_base64(source) if encoding == "base64" else source
    except ValueError:
        return source


def _parse_delivery_status(content: bytes) -> list[dict[str, str]]:
    """Return the status of each recipient in a delivery status notification (RFC 3464), a block of headers."""
    blocks = [decode_text(block) for block in re.split(rb"\r?\n(?:[ \t]*\r?\n)+", content)]
    messages = [message_from_string(block.replace("\r\n", "\n")) for block in blocks]
    recipients = [message for message in messages if "Final-Recipient" in message]
    return [_read_status_fields(message) for message in recipients[:MAX_STATUS_RECIPIENTS]]


def _read_status_fields(message: Message) -> dict[str, str]:
    """Return the fields of a recipient, without the types before some values, as in `rfc822; ann@example.com`."""
    fields = {}
    for header, name in STATUS_FIELDS.items():
        text = " ".join(str(message.get(header, "")).split())
        fields[name] = remove_unstorable(TYPE_PREFIX.sub("", text))[:MAX_NAME_LENGTH]
    return fields
