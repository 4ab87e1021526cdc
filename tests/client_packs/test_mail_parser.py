"""Mails of all kinds as event payloads."""

import json
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyte_client.packs.email.mail_parser import build_event_key, parse_mail

pytestmark = pytest.mark.unit


def test_a_mail_with_text_html_and_attachments() -> None:
    mail = EmailMessage()
    mail["From"] = "Ann Öther <ann@example.com>"
    mail["To"] = "help@example.org, Bob <bob@example.org>"
    mail["Subject"] = "Hélp"
    mail["Date"] = "Sat, 21 Nov 2026 12:00:00 +0100"
    mail["Message-ID"] = "<1@example.com>"
    mail["In-Reply-To"] = "<0@example.com>"
    mail["X-Other"] = "not listed"
    mail.set_content("text é\n")
    mail.add_alternative("<p>html é</p>", subtype="html")
    mail.add_attachment(b"12345", maintype="application", subtype="pdf", filename="ä.pdf")
    mail.add_attachment(b"123456", maintype="image", subtype="png", filename="b.png")
    raw = mail.as_bytes()
    assert parse_mail(raw, len(raw), 8) == {
        "messageId": "<1@example.com>",
        "from": {"name": "Ann Öther", "address": "ann@example.com"},
        "to": [{"name": "", "address": "help@example.org"}, {"name": "Bob", "address": "bob@example.org"}],
        "cc": [],
        "replyTo": [],
        "subject": "Hélp",
        "date": "2026-11-21T12:00:00+01:00",
        "headers": {"In-Reply-To": "<0@example.com>"},
        "size": len(raw),
        "text": "text é\n",
        "html": "<p>html é</p>\n",
        "attachments": [
            {"name": "ä.pdf", "type": "application/pdf", "size": 5, "content": "MTIzNDU="},
            {"name": "b.png", "type": "image/png", "size": 6},
        ],
        "complete": True,
    }


def test_a_mail_that_is_too_large_has_only_headers() -> None:
    payload = parse_mail(b"Subject: big\r\nFrom: ann@example.com\r\n\r\n", 10_000_000, 0)
    assert (payload["subject"], payload["complete"], payload["text"]) == ("big", False, "")
    assert (payload["size"], payload["attachments"]) == (10_000_000, [])


@pytest.mark.parametrize(
    ("raw", "field", "value"),
    [
        (b"", "from", {"name": "", "address": ""}),
        (b"Date: yesterday\n\n", "date", ""),
        (b"Subject: a\x00b\n\n", "subject", "ab"),
        (b"Subject: =?utf-8?q?=ff?=\n\n", "subject", "\ufffd"),
        (b"Content-Type: text/plain; charset=nobody-knows\n\nh\xe9", "text", "hé"),
        (b"Content-Type: text/plain; charset=utf-8\n\nh\xe9", "text", "h\ufffd"),
        (b"\r\none\r\ntwo\r\n", "text", "one\ntwo\n"),
        (b"\n" + b"x" * 60_000, "text", "x" * 50_000),
    ],
)
def test_malformed_mail_is_parsed_as_far_as_possible(raw: bytes, field: str, value: object) -> None:
    assert parse_mail(raw, len(raw), 0)[field] == value


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"From: ",
                b"To: <",
                b"Subject: =?",
                b"Date: ",
                b"Message-ID: <",
                b"Content-Type: multipart/mixed; boundary=x",
                b"Content-Transfer-Encoding: base64",
                b"--x",
                b"--x--",
                b"@",
                b";",
                b'"',
                b"\n",
                b"\r\n",
                b"\n\n",
                b"?=",
                b"(",
            ]
        )
        | st.binary(max_size=12),
        max_size=40,
    )
)
def test_any_bytes_are_parsed(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    payload = parse_mail(raw, len(raw), 100)
    json.dumps(payload, allow_nan=False, ensure_ascii=False).encode()
    assert len(build_event_key(payload, "1/2")) <= 255


def test_deeply_nested_mail_has_no_content() -> None:
    raw = b"Subject: deep\n" + b"Content-Type: message/rfc822\n\n" * 3000
    payload = parse_mail(raw, len(raw), 0)
    assert (payload["subject"], payload["complete"]) == ("deep", False)


def test_the_key_is_the_message_id_or_the_location() -> None:
    assert build_event_key({"messageId": "<1@x.org>"}, "7/1") == "email/<1@x.org>"
    assert build_event_key({"messageId": ""}, "7/1") == "email/7/1"
    assert len(build_event_key({"messageId": "é" * 1000}, "")) < 80
