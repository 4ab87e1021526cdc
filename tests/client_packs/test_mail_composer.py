"""Composition of mails from the input of SendEmail, and invalid inputs."""

import base64
import re
from email import message_from_bytes, policy
from typing import Any

import pytest

from flyte_client.packs.email.composer import OutgoingMail, compose_mail, parse_address

pytestmark = pytest.mark.unit

PLAIN = {"to": "ann@example.com", "subject": "s", "text": "t"}
SENDER = "Flyte <flyte@example.org>"


def composed(mail_input: Any, max_bytes: int = 1000) -> OutgoingMail:
    return compose_mail(mail_input, SENDER, max_bytes)


def parsed(mail: OutgoingMail) -> Any:
    """Serialize the message and parse it again."""
    return message_from_bytes(mail.message.as_bytes(policy=policy.SMTP), policy=policy.default)


def test_recipients_come_from_texts_and_lists_and_blind_copies_are_in_no_header() -> None:
    mail = composed(PLAIN | {"to": "Ann Öther <ann@example.com>, bob@example.com", "cc": ["c@x.org"], "bcc": "d@x.org"})
    assert mail.recipients == ("ann@example.com", "bob@example.com", "c@x.org", "d@x.org")
    message = parsed(mail)
    assert [address.display_name for address in message["To"].addresses] == ["Ann Öther", ""]
    assert (str(message["Cc"]), message["Bcc"]) == ("c@x.org", None)
    assert "d@x.org" not in message.as_string()


def test_headers_have_sender_date_and_auto_submitted() -> None:
    message = parsed(composed(PLAIN | {"subject": "é " * 100, "replyTo": "r@x.org", "inReplyTo": "<1@x.org>"}))
    assert str(message["From"]) == SENDER
    assert str(message["Subject"]) == ("é " * 100).strip()
    assert message["Message-ID"].endswith("@example.org>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert (message["Reply-To"], message["In-Reply-To"], message["References"]) == ("r@x.org", "<1@x.org>", "<1@x.org>")
    assert message["Date"].datetime.tzinfo is not None


def test_text_html_and_attachments() -> None:
    content = base64.b64encode(b"\x00\xff").decode()
    mail_input = PLAIN | {"text": "é\n", "html": "<p>é</p>", "attachments": [{"name": "ä.pdf", "content": content}]}
    message = parsed(composed(mail_input))
    assert message.get_body(("plain",)).get_content() == "é\r\n"
    assert message.get_body(("html",)).get_content() == "<p>é</p>\r\n"
    (attachment,) = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_content_type()) == ("ä.pdf", "application/pdf")
    assert attachment.get_content() == b"\x00\xff"


def test_a_mail_can_have_only_html() -> None:
    message = parsed(composed({"to": "a@x.org", "html": "<p>"}))
    assert (message.get_content_type(), str(message["Subject"])) == ("text/html", "")


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "replyTo", "inReplyTo"])
@pytest.mark.parametrize(
    "ending", ["\nBcc: evil@example.com", "\r\nBcc: evil@example.com", "\rX: y", "\u2028X: y", "\0", "\x85X: y"]
)
def test_no_field_can_inject_a_header(field: str, ending: str) -> None:
    start = "<1@x.org>" if field == "inReplyTo" else "ann@example.com"
    with pytest.raises(ValueError, match=field):
        composed(PLAIN | {field: start + ending})


def test_white_space_around_a_field_is_removed() -> None:
    attachment = {"name": "log.txt\n", "content": "YQ=="}
    fields = {"to": "ann@example.com\n", "subject": " Disk is full\r\n", "inReplyTo": "<1@x.org>\n"}
    message = parsed(composed(PLAIN | fields | {"attachments": [attachment]}))
    assert (str(message["To"]), str(message["Subject"])) == ("ann@example.com", "Disk is full")
    assert str(message["In-Reply-To"]) == "<1@x.org>"
    assert [part.get_filename() for part in message.iter_attachments()] == ["log.txt"]


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        ("one\nBcc: evil@example.com", "one Bcc: evil@example.com"),
        ("one\r\ntwo\rthree\u2028four\u2029five\x85six\x0bseven\0eight", "one two three four five six seven eight"),
        ("Disk is at 95%\n", "Disk is at 95%"),
        ("\r\n\r\nfirst", "first"),
        ("a\tb", "a b"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_control_characters_in_the_subject_become_spaces(subject: str, line: str) -> None:
    message = parsed(composed(PLAIN | {"subject": subject}))
    assert (str(message["Subject"]), message["Bcc"]) == (line, None)


@pytest.mark.parametrize(
    "text",
    [
        "会議\u3000資料",
        "\u3000会議" * 50,
        "12\u202f000\u00a0€",
        "👩\u200d👩\u200d👧\u200d👦 " * 20 + "x",
        "\u200fشكرا\u200e",
        "Donau\u00addampf\u00adschiff",
        "🫩🪾 newer than Python",
    ],
)
def test_unusual_characters_are_kept_in_subject_names_and_addresses(text: str) -> None:
    attachments = [{"name": f"a{text[:8]}.txt", "content": ""}]
    mail = composed(PLAIN | {"subject": text, "to": f"{text[:8]} <a@x.org>\n", "attachments": attachments})
    message = parsed(mail)
    assert str(message["Subject"]) == text
    assert [address.display_name for address in message["To"].addresses] == [text[:8].strip(" ")]
    assert next(message.iter_attachments()).get_filename() == f"a{text[:8]}.txt"


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", b"\xfb\xff\xfe", bytes(range(256))])
def test_an_attachment_can_be_in_each_form_of_base64(data: bytes) -> None:
    standard, url_safe = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
    forms = [standard, standard.rstrip("="), url_safe, url_safe.rstrip("="), "\r\n".join(standard), f" {standard}\n"]
    attachments = [{"name": "a.bin", "content": form} for form in forms]
    message = parsed(composed(PLAIN | {"attachments": attachments}, 10_000))
    assert [part.get_content() for part in message.iter_attachments()] == [data] * len(forms)


def test_an_attachment_name_cannot_inject_a_header() -> None:
    with pytest.raises(ValueError, match=r"attachments\[0\]\.name: line breaks"):
        composed(PLAIN | {"attachments": [{"name": "a\r\nX: y", "content": ""}]})


@pytest.mark.parametrize(
    ("mail_input", "words"),
    [
        (None, "must be an object"),
        ("hello", "must be an object"),
        ({}, "to, cc and bcc: must have 1 to 100 addresses in total, not 0"),
        (
            PLAIN | {"to": ["a@x.org"] * 2 + [f"a{n}@x.org" for n in range(100)]},
            "to, cc and bcc: must have 1 to 100 addresses in total, not 101",
        ),
        (PLAIN | {"to": "ann"}, "to: invalid address 'ann'"),
        (PLAIN | {"to": "ann@"}, "to: invalid address"),
        (PLAIN | {"to": "ann@example.com bob@example.com"}, "to: invalid address"),
        (PLAIN | {"to": "änn@example.com"}, "to: invalid address"),
        (PLAIN | {"to": "ann@exämple.com"}, "to: invalid address"),
        (PLAIN | {"to": '"a b"@example.com'}, "to: invalid address"),
        (PLAIN | {"to": 5}, "to: must be an address or a list"),
        (PLAIN | {"to": [{}]}, "to: must be an address or a list"),
        (PLAIN | {"subject": 5}, "subject: must be a string"),
        (PLAIN | {"subject": "x" * 901}, "at most 900 characters"),
        (PLAIN | {"text": ""}, "text or html is required"),
        (PLAIN | {"text": []}, "text: must be a string"),
        (PLAIN | {"text": "x" * 1001}, "are too large: 1001 bytes, at most 1000"),
        (PLAIN | {"sender": "x"}, "unknown field 'sender'"),
        (PLAIN | {"attachments": "x"}, "attachments: must be a list"),
        (PLAIN | {"attachments": [{}] * 21}, "at most 20"),
        (PLAIN | {"attachments": ["x"]}, "must be an object"),
        (PLAIN | {"attachments": [{"content": ""}]}, "attachments[0].name: required"),
        (PLAIN | {"attachments": [{"name": "a", "content": "%"}]}, "attachments[0].content: invalid base64"),
        (PLAIN | {"attachments": [{"name": "a", "content": "YWJjZ"}]}, "attachments[0].content: invalid base64"),
        (PLAIN | {"attachments": [{"name": "a", "content": "YQ==" * 2}]}, "attachments[0].content: invalid base64"),
        (PLAIN | {"attachments": [{"name": "a", "content": 5}]}, "attachments[0].content: invalid base64"),
        (
            PLAIN | {"attachments": [{"name": "a", "type": "message/rfc822", "content": ""}]},
            "attachments[0].type: must be a media type",
        ),
        (
            PLAIN | {"attachments": [{"name": "a", "type": "a/b; x=y", "content": ""}]},
            "attachments[0].type: must be a media type",
        ),
        (PLAIN | {"inReplyTo": "1@x.org"}, "inReplyTo: must be a message id"),
    ],
)
def test_invalid_input_is_reported(mail_input: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        composed(mail_input)


@pytest.mark.parametrize("sender", ["", "a@x.org, b@x.org", "Flyte", "a@x.org\nX: y"])
def test_the_sender_must_be_one_address(sender: str) -> None:
    with pytest.raises(ValueError, match=r"address|line breaks"):
        parse_address(sender)
