"""Composition of a mail from a command's input. The input can't inject headers or recipients."""

import base64
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from typing import Any

from flyte_formats.characters import has_control_characters, replace_control_characters, replace_surrogates

INPUT_FIELDS = ("to", "cc", "bcc", "subject", "text", "html", "attachments", "replyTo", "inReplyTo")
ATTACHMENT_FIELDS = ("name", "type", "content")
MAX_RECIPIENTS = 100
MAX_ATTACHMENTS = 20
MAX_SUBJECT_LENGTH = 900
ADDRESS_PATTERN = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
MESSAGE_ID_PATTERN = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>\Z")
MEDIA_TYPE_PATTERN = re.compile(r"([a-z]+)/([a-z0-9.+-]{1,100})\Z")
BLANKS = " \t\r\n"
URL_SAFE_TO_STANDARD = str.maketrans("-_", "+/")

_HEADER_REGISTRY = HeaderRegistry()


@dataclass(frozen=True)
class OutgoingMail:
    """A message, and all its recipients, including blind copies."""

    message: EmailMessage
    recipients: tuple[str, ...]

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


def compose_mail(command_input: Any, sender: str, max_bytes: int) -> OutgoingMail:
    """Build a mail from a command's input. Raises `ValueError` for invalid input."""
    fields = _check_fields(command_input)
    to, cc, bcc = (_parse_addresses(name, fields.get(name)) for name in ("to", "cc", "bcc"))
    recipients = tuple(dict.fromkeys(address.addr_spec for address in (*to, *cc, *bcc)))
    if not 0 < len(recipients) <= MAX_RECIPIENTS:
        raise ValueError(f"to, cc and bcc: must have 1 to {MAX_RECIPIENTS} addresses in total, not {len(recipients)}")
    message = EmailMessage()
    message["From"] = parse_address(sender)
    if to:
        message["To"] = to
    if cc:
        message["Cc"] = cc
    message["Subject"] = _build_subject(fields.get("subject"))
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=parse_address(sender).domain)
    # RFC 3834: prevents automatic replies.
    message["Auto-Submitted"] = "auto-generated"
    _set_reply_headers(message, fields)
    _set_content(message, fields, max_bytes)
    return OutgoingMail(message, recipients)


def parse_address(text: str) -> Address:
    """Parse the single address in a text such as `Flyte <flyte@example.com>`. Raises `ValueError`."""
    addresses = _parse_addresses("the sender", text)
    if len(addresses) != 1:
        raise ValueError(f"invalid value {text!r}, must be one address, such as Flyte <flyte@example.com>")
    return addresses[0]


def _check_fields(command_input: Any) -> Mapping[str, Any]:
    if not isinstance(command_input, dict):
        raise ValueError(f"the input must be an object with {', '.join(INPUT_FIELDS)}")
    unknown = [name for name in command_input if name not in INPUT_FIELDS]
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; allowed fields: {', '.join(INPUT_FIELDS)}")
    return command_input


def _parse_addresses(name: str, value: Any) -> list[Address]:
    texts = [value] if isinstance(value, str) else value or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name}: must be an address or a list of addresses")
    return [address for text in texts if text.strip() for address in _parse_address_list(name, text)]


def _parse_address_list(name: str, text: str) -> list[Address]:
    line = _reject_control_characters(name, text.strip(BLANKS))
    try:
        header: Any = _HEADER_REGISTRY("To", line)
        addresses = [] if header.defects else list(header.addresses)
    except Exception:  # the standard library's parser raises several kinds of errors
        addresses = []
    if not addresses or not all(ADDRESS_PATTERN.match(address.addr_spec) for address in addresses):
        raise ValueError(f"{name}: invalid address {text[:100]!r}")
    return addresses


def _build_subject(value: Any) -> str:
    """Return the subject as one line: text from other systems may have line breaks, which become spaces."""
    text = _check_text("subject", value, MAX_SUBJECT_LENGTH).strip(BLANKS).replace("\r\n", "\n")
    return replace_control_characters(replace_surrogates(text), " ")


def _check_text(name: str, value: Any, max_length: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > max_length:
        raise ValueError(f"{name}: must be a string of at most {max_length} characters")
    return value


def _reject_control_characters(name: str, text: str) -> str:
    """Return the text if it has no control characters: a line break would start a new header."""
    if has_control_characters(text):
        raise ValueError(f"{name}: line breaks and other control characters are not allowed")
    return text


def _set_reply_headers(message: EmailMessage, fields: Mapping[str, Any]) -> None:
    if fields.get("replyTo"):
        message["Reply-To"] = _parse_addresses("replyTo", fields["replyTo"])
    parent_id = fields.get("inReplyTo")
    if not parent_id:
        return
    if not isinstance(parent_id, str) or not MESSAGE_ID_PATTERN.match(parent_id.strip()):
        raise ValueError("inReplyTo: must be a message id, such as <123@example.com>")
    message["In-Reply-To"] = message["References"] = parent_id.strip()


def _set_content(message: EmailMessage, fields: Mapping[str, Any], max_bytes: int) -> None:
    text, html = (_check_body(name, fields.get(name)) for name in ("text", "html"))
    if not text and not html:
        raise ValueError("text or html is required")
    attachments = _decode_attachments(fields.get("attachments"))
    size = len((text + html).encode()) + sum(len(content) for *_, content in attachments)
    if size > max_bytes:
        raise ValueError(f"text and attachments are too large: {size} bytes, at most {max_bytes} are allowed")
    if text or not html:
        message.set_content(text)
    if html:
        (message.add_alternative if text else message.set_content)(html, subtype="html")
    for name, maintype, subtype, content in attachments:
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)


def _check_body(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be a string")
    return replace_surrogates(value).replace("\0", "")


def _decode_attachments(value: Any) -> list[tuple[str, str, str, bytes]]:
    if not isinstance(value or [], list) or len(value or []) > MAX_ATTACHMENTS:
        raise ValueError(f"attachments: must be a list of at most {MAX_ATTACHMENTS}")
    return [_decode_attachment(f"attachments[{index}]", item) for index, item in enumerate(value or [])]


def _decode_attachment(path: str, value: Any) -> tuple[str, str, str, bytes]:
    if not isinstance(value, dict) or not set(value) <= set(ATTACHMENT_FIELDS):
        raise ValueError(f"{path}: must be an object with {', '.join(ATTACHMENT_FIELDS)}")
    name = _reject_control_characters(f"{path}.name", _check_text(f"{path}.name", value.get("name"), 200).strip(BLANKS))
    if not name:
        raise ValueError(f"{path}.name: required")
    media_type = value.get("type") or mimetypes.guess_type(name)[0] or "application/octet-stream"
    match = MEDIA_TYPE_PATTERN.match(media_type) if isinstance(media_type, str) else None
    if not match or match[1] in ("multipart", "message"):
        raise ValueError(f"{path}.type: must be a media type such as application/pdf")
    return name, match[1], match[2], _decode_base64(f"{path}.content", value.get("content", ""))


def _decode_base64(path: str, value: Any) -> bytes:
    """Decode base64 in the standard or the URL-safe alphabet (RFC 4648), with or without padding and line breaks."""
    try:
        digits = "".join(value.split()).translate(URL_SAFE_TO_STANDARD)
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (AttributeError, ValueError):
        raise ValueError(f"{path}: invalid base64") from None
