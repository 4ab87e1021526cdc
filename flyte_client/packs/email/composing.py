"""A mail out of a command's input. Nothing in the input can become a header, or an address, of its own."""

import base64
import binascii
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from typing import Any

FIELDS = ("to", "cc", "bcc", "subject", "text", "html", "attachments", "replyTo", "inReplyTo")
ATTACHMENT_FIELDS = ("name", "type", "content")
MOST_RECIPIENTS = 100
MOST_ATTACHMENTS = 20
LONGEST_SUBJECT = 900
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\Z")
MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,250}>\Z")
MEDIA_TYPE = re.compile(r"([a-z]+)/([a-z0-9.+-]{1,100})\Z")

_HEADERS = HeaderRegistry()


@dataclass(frozen=True)
class Mail:
    """A message, and the addresses that it goes to, blind copies among them."""

    message: EmailMessage
    recipients: tuple[str, ...]

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])


def compose(given: Any, sender: str, max_bytes: int) -> Mail:
    """Raises `ValueError`, which says what is wrong, for input that makes no mail."""
    fields = _fields(given)
    to, cc, bcc = (_addresses(name, fields.get(name)) for name in ("to", "cc", "bcc"))
    recipients = tuple(dict.fromkeys(address.addr_spec for address in (*to, *cc, *bcc)))
    if not 0 < len(recipients) <= MOST_RECIPIENTS:
        raise ValueError(f"to, cc and bcc have {len(recipients)} addresses, but there must be 1 to {MOST_RECIPIENTS}")
    message = EmailMessage()
    message["From"] = one_address(sender)
    if to:
        message["To"] = to
    if cc:
        message["Cc"] = cc
    message["Subject"] = _line("subject", fields.get("subject"), LONGEST_SUBJECT)
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=one_address(sender).domain)
    # RFC 3834: so that answering machines do not answer a machine.
    message["Auto-Submitted"] = "auto-generated"
    _relate(message, fields)
    _fill(message, fields, max_bytes)
    return Mail(message, recipients)


def one_address(text: str) -> Address:
    """The only address in a text such as `Flyte <flyte@example.com>`. Raises `ValueError`."""
    found = _addresses("the sender", text)
    if len(found) != 1:
        raise ValueError(f"must be one address, such as Flyte <flyte@example.com>, and is {text!r}")
    return found[0]


def _fields(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"the input must be an object with {', '.join(FIELDS)}")
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not known; there are {', '.join(FIELDS)}")
    return given


def _addresses(name: str, given: Any) -> list[Address]:
    texts = [given] if isinstance(given, str) else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} must be an address or a list of addresses")
    return [address for text in texts if text.strip() for address in _parsed(name, text)]


def _parsed(name: str, text: str) -> list[Address]:
    line = _plain(name, text)
    try:
        header: Any = _HEADERS("To", line)
        addresses = [] if header.defects else list(header.addresses)
    except Exception:  # the standard library's parser has more than one kind of error for what is no address
        addresses = []
    if not addresses or not all(ADDRESS.match(address.addr_spec) for address in addresses):
        raise ValueError(f"{name}: {text[:100]!r} is no address that can be used")
    return addresses


def _line(name: str, given: Any, longest: int) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > longest:
        raise ValueError(f"{name} must be a text of at most {longest} characters")
    return _plain(name, given)


def _plain(name: str, text: str) -> str:
    """The text, if it stays on its line: a line break would begin a header of its own."""
    if not all(character.isprintable() or character == "\u00a0" for character in text):
        raise ValueError(f"{name} must have no line breaks or other control characters")
    return text


def _relate(message: EmailMessage, fields: Mapping[str, Any]) -> None:
    if fields.get("replyTo"):
        message["Reply-To"] = _addresses("replyTo", fields["replyTo"])
    earlier = fields.get("inReplyTo")
    if not earlier:
        return
    if not isinstance(earlier, str) or not MESSAGE_ID.match(earlier):
        raise ValueError("inReplyTo must be a message's id, such as <123@example.com>")
    message["In-Reply-To"] = message["References"] = earlier


def _fill(message: EmailMessage, fields: Mapping[str, Any], max_bytes: int) -> None:
    text, html = (_body(name, fields.get(name)) for name in ("text", "html"))
    if not text and not html:
        raise ValueError("there is neither text nor html")
    attachments = _attachments(fields.get("attachments"))
    size = len((text + html).encode()) + sum(len(content) for *_, content in attachments)
    if size > max_bytes:
        raise ValueError(f"text and attachments have {size} bytes, but at most {max_bytes} may be sent")
    if text or not html:
        message.set_content(text)
    if html:
        (message.add_alternative if text else message.set_content)(html, subtype="html")
    for name, maintype, subtype, content in attachments:
        message.add_attachment(content, maintype=maintype, subtype=subtype, filename=name)


def _body(name: str, given: Any) -> str:
    if given is None:
        return ""
    if not isinstance(given, str):
        raise ValueError(f"{name} must be a text")
    return given.encode("utf-8", "replace").decode().replace("\0", "")


def _attachments(given: Any) -> list[tuple[str, str, str, bytes]]:
    if not isinstance(given or [], list) or len(given or []) > MOST_ATTACHMENTS:
        raise ValueError(f"attachments must be a list of at most {MOST_ATTACHMENTS}")
    return [_attachment(f"attachments[{index}]", one) for index, one in enumerate(given or [])]


def _attachment(where: str, given: Any) -> tuple[str, str, str, bytes]:
    if not isinstance(given, dict) or not set(given) <= set(ATTACHMENT_FIELDS):
        raise ValueError(f"{where} must be an object with {', '.join(ATTACHMENT_FIELDS)}")
    name = _line(f"{where}.name", given.get("name"), 200)
    if not name:
        raise ValueError(f"{where}.name is missing")
    kind = given.get("type") or mimetypes.guess_type(name)[0] or "application/octet-stream"
    found = MEDIA_TYPE.match(kind) if isinstance(kind, str) else None
    if not found or found[1] in ("multipart", "message"):
        raise ValueError(f"{where}.type must be a media type such as application/pdf")
    try:
        content = base64.b64decode("".join(given.get("content", "").split()), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        raise ValueError(f"{where}.content must be base64") from None
    return name, found[1], found[2], content
