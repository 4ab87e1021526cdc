"""Mails of all kinds as event payloads."""

import base64
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
        (b"Subject: =?utf-8?q?=ff?=\n\n", "subject", "ÿ"),
        (b"Content-Type: text/plain; charset=nobody-knows\n\nh\xe9", "text", "hé"),
        (b"Content-Type: text/plain; charset=utf-8\n\nh\xe9", "text", "hé"),
        (b"\r\none\r\ntwo\r\n", "text", "one\ntwo\n"),
        (b"\n" + b"x" * 60_000, "text", "x" * 50_000),
    ],
)
def test_malformed_mail_is_parsed_as_far_as_possible(raw: bytes, field: str, value: object) -> None:
    assert parse_mail(raw, len(raw), 0)[field] == value


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Content-Type: text/plain\n\ngrüße".encode(), "grüße"),
        ("\ngrüße".encode(), "grüße"),
        (b"\ngr\xfc\xdfe", "grüße"),
        ("Content-Type: text/plain; charset=us-ascii\n\ngrüße".encode(), "grüße"),
        ("Content-Type: text/plain; charset=x-unknown\n\ngrüße".encode(), "grüße"),
        ("Content-Type: text/plain; charset=unknown-8bit\n\ngrüße".encode(), "grüße"),
        ("Content-Type: text/plain; charset=koi8-r\n\nПривет".encode("koi8-r"), "Привет"),
        ("Content-Type: text/plain; charset=gb2312\n\n中文镕".encode("gb18030"), "中文镕"),
        (b"Content-Type: text/plain; charset=iso-8859-1\n\n\x93ok\x94 \x80", "“ok” €"),
        (b"Content-Type: text/plain; charset=utf-8\n\n\xef\xbb\xbfhello", "hello"),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\ngr=C3=BC=C3=9Fe", "grüße"),
        (b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nZ3LDvMOfZQ==", "grüße"),
        (b"Content-Type: text/plain; charset=utf-7\n\nplain", "plain"),
        (b"Content-Type: text/plain; charset*=x''utf-8\n\nplain", "plain"),
    ],
)
def test_text_is_decoded_by_its_charset_or_as_utf8_or_windows_1252(raw: bytes, text: str) -> None:
    assert parse_mail(raw, len(raw), 0)["text"] == text


def test_html_can_declare_its_charset() -> None:
    html = 'Content-Type: text/html\n\n<html><meta charset="windows-1251">Привет'.encode("cp1251")
    assert parse_mail(html, len(html), 0)["html"].endswith("Привет")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Grüße".encode(), "Grüße"),
        (b"Gr\xfc\xdfe", "Grüße"),
        ("Grüße,\r\n die länger sind".encode(), "Grüße, die länger sind"),
        (b"=?x-unknown?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?us-ascii?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?q?Gr=C3=BC?= =?iso-8859-1?q?=DFe?=", "Grüße"),
        (b"=?utf-8?B?R3LD?=\r\n =?utf-8?B?vMOfZQ==?=", "Grüße"),  # a character is split
        (b"=?utf-8?q?Gr=FC=DFe?= and =?utf-8?q?=C3=BC?=", "Grüße and ü"),
        (b"=?iso-8859-1?q?=93ok=94?=", "“ok”"),
        (b"=?utf-8?Q?a_=0Ab?=", "a  b"),
        (b"=?gb2312?b?" + base64.b64encode("中文镕".encode("gb18030")) + b"?=", "中文镕"),
        ("会議\u3000資料 👩\u200d💻".encode(), "会議\u3000資料 👩\u200d💻"),
    ],
)
def test_headers_can_have_any_encoding(subject: bytes, text: str) -> None:
    raw = b"Subject: " + subject + b"\r\nFrom: " + subject.partition(b",")[0] + b" <ann@example.com>\r\n\r\n"
    payload = parse_mail(raw, len(raw), 0)
    assert payload["subject"] == text
    assert payload["from"]["address"] == "ann@example.com"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("=?utf-8?B?5pel5pys?= =?utf-8?B?6Kqe?=", "日本語"),
        ("=?utf-8?B?5pel5pys?=\r\n =?utf-8?B?6Kqe?=", "日本語"),
        ("=?iso-8859-1?Q?J=FCrgen?= =?iso-8859-1?Q?_M=FCller?=", "Jürgen Müller"),
        ("=?utf-8?q?J=C3=BCrgen?= Smith", "Jürgen Smith"),
        ('"=?utf-8?q?Smith,_J=C3=BCrgen?="', "Smith, Jürgen"),
        ("=?utf-8?q?a=2C_b_=3Cc=40d=2Eorg=3E?=", "a, b <c@d.org>"),
    ],
)
def test_a_name_in_several_encoded_words_has_no_extra_blanks(name: str, text: str) -> None:
    raw = f"From: {name} <ann@example.com>\r\nTo: {name} <a@x.org>, {name} <b@x.org>\r\n\r\n".encode()
    payload = parse_mail(raw, len(raw), 0)
    assert payload["from"] == {"name": text, "address": "ann@example.com"}
    assert payload["to"] == [{"name": text, "address": "a@x.org"}, {"name": text, "address": "b@x.org"}]


def test_names_and_file_names_can_have_bytes_that_are_not_ascii() -> None:
    raw = (
        b"From: J\xc3\xbcrgen <j@example.com>\nTo: J\xfcrgen <k@example.com>\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        b'Content-Type: text/csv; name="gr\xc3\xb6\xc3\x9fe.csv"\nContent-Disposition: attachment\n\n1\n--b--\n'
    )
    payload = parse_mail(raw, len(raw), 0)
    assert payload["from"] == {"name": "Jürgen", "address": "j@example.com"}
    assert payload["to"] == [{"name": "Jürgen", "address": "k@example.com"}]
    assert payload["attachments"][0]["name"] == "größe.csv"


def test_a_mail_can_begin_with_a_byte_order_mark() -> None:
    raw = b"\xef\xbb\xbfSubject: Report\n\nbody"
    payload = parse_mail(raw, len(raw), 0)
    assert (payload["subject"], payload["text"], payload["complete"]) == ("Report", "body", True)


@pytest.mark.parametrize("invalid", ["broken <", "@", "<a@", "[x", "a b c <>"])
def test_an_invalid_address_does_not_hide_the_others(invalid: str) -> None:
    raw = f'To: ann@example.com, {invalid}, "Bo, B." <bo@example.com>\n\n'.encode()
    addresses = parse_mail(raw, len(raw), 0)["to"]
    assert addresses[0] == {"name": "", "address": "ann@example.com"}
    assert {"name": "Bo, B.", "address": "bo@example.com"} in addresses


@pytest.mark.parametrize(
    ("date", "text"),
    [
        ("Sun, 29 Nov 2026 10:00:00 +0100", "2026-11-29T10:00:00+01:00"),
        ("Sun, 29 Nov 2026 10:00:00 -0000", "2026-11-29T10:00:00+00:00"),
        ("Sun, 29 Nov 2026 10:00:00", "2026-11-29T10:00:00+00:00"),
        ("29 Nov 2026 10:00 GMT", "2026-11-29T10:00:00+00:00"),
        ("29 Nov 26 10:00 EST", "2026-11-29T10:00:00-05:00"),
        ("Mon, 6 May 2019 9:30 CEST", "2019-05-06T09:30:00+02:00"),
        ("Mon, 6 May 2019 9:30", "2019-05-06T09:30:00+00:00"),
        ("Mon,\r\n 06 May 2019 09:30:00 +0200 (CEST)", "2019-05-06T09:30:00+02:00"),
        ("2019-05-06 09:30:00", "2019-05-06T09:30:00+00:00"),
        ("2019-05-06T09:30:00.5+02:00", "2019-05-06T09:30:00.500000+02:00"),
        ("Mon, 6 May 2019 09:30:00 IST", ""),
        ("Mon, 32 May 2019 09:30:00 +0200", ""),
        ("Mon, 6 May 2019 09:30:00 +9900", ""),
        ("soon", ""),
        ("", ""),
    ],
)
def test_a_date_always_has_a_zone(date: str, text: str) -> None:
    raw = f"Date: {date}\n\n".encode()
    assert parse_mail(raw, len(raw), 0)["date"] == text


@pytest.mark.parametrize(
    "disposition",
    [
        b'attachment; filename="Gr\xfc\xdfe.pdf"',
        b"attachment; filename=Gr\xc3\xbc\xc3\x9fe.pdf",
        b'attachment; filename="=?utf-8?B?R3LDvMOf?= =?utf-8?B?ZS5wZGY=?="',
        b"attachment; filename*=iso-8859-1''Gr%FC%DFe.pdf",
        b"attachment; filename*0*=utf-8''Gr%C3%BC; filename*1*=%C3%9Fe.pdf",
        b'inline\r\nContent-Type: image/png; name="Gr\xc3\xbc\xc3\x9fe.pdf"',
    ],
)
def test_a_file_name_can_be_in_each_encoding(disposition: bytes) -> None:
    raw = b"Content-Disposition: " + disposition + b"\r\nContent-Type: application/pdf\r\n\r\nx"
    assert [attachment["name"] for attachment in parse_mail(raw, len(raw), 0)["attachments"]] == ["Grüße.pdf"]


ATTACHED = (
    b"From: Ann <ann@example.com>\r\nSubject: a subject that is much longer than the lines that mail programs "
    b"write, so it would be folded\r\n\r\nhello \xc3\xa9\r\n"
)
STATUS = (
    b"Reporting-MTA: dns; mx.example.org\r\n\r\n"
    b"Final-Recipient: rfc822; nobody@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 user\r\n unknown; try again\r\nRemote-MTA: dns; mx.example.com\r\n\r\n"
    b"Final-Recipient: rfc822;ann@example.com\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n"
)


def build_multipart(kind: str, *parts: tuple[str, bytes]) -> bytes:
    head = b"From: a@example.com\r\nContent-Type: multipart/%s; boundary=b\r\n\r\n" % kind.encode()
    return head + b"".join(b"--b\r\n%s\r\n\r\n%s\r\n" % (type_.encode(), body) for type_, body in parts) + b"--b--\r\n"


def test_a_bounce_has_the_status_of_each_recipient_and_the_returned_mail() -> None:
    raw = build_multipart(
        "report; report-type=delivery-status",
        ("Content-Type: text/plain", b"It failed."),
        ("Content-Type: message/delivery-status", STATUS),
        ("Content-Type: message/rfc822", ATTACHED),
    )
    payload = parse_mail(raw, len(raw), 10_000)
    assert (payload["text"], payload["complete"]) == ("It failed.", True)
    assert payload["deliveryStatus"] == [
        {
            "recipient": "nobody@example.com",
            "originalRecipient": "",
            "action": "failed",
            "status": "5.1.1",
            "diagnostic": "550 5.1.1 user unknown; try again",
            "server": "mx.example.com",
        },
        {
            "recipient": "ann@example.com",
            "originalRecipient": "",
            "action": "delayed",
            "status": "4.4.1",
            "diagnostic": "",
            "server": "",
        },
    ]
    assert [
        (attachment["type"], attachment["size"], base64.b64decode(attachment["content"]))
        for attachment in payload["attachments"]
    ] == [("message/delivery-status", len(STATUS), STATUS), ("message/rfc822", len(ATTACHED), ATTACHED)]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Content-Type: message/rfc822", ATTACHED),
        ("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", base64.encodebytes(ATTACHED)),
        ("Content-Type: text/rfc822-headers", ATTACHED),
        ("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64", base64.encodebytes(ATTACHED)),
    ],
)
def test_an_attached_message_has_its_size_and_content(header: str, body: bytes) -> None:
    raw = build_multipart("mixed", ("Content-Type: text/plain", b"see below"), (header, body))
    (attachment,) = parse_mail(raw, len(raw), 10_000)["attachments"]
    assert (attachment["size"], base64.b64decode(attachment["content"])) == (len(ATTACHED), ATTACHED)


def test_an_attached_message_with_attachments_is_one_attachment() -> None:
    inner = build_multipart("mixed", ("Content-Type: text/plain", b"inner"), ("Content-Type: image/png", b"12345"))
    inner = inner.replace(b"boundary=b", b"boundary=inner").replace(b"--b", b"--inner")
    raw = build_multipart("mixed", ("Content-Type: text/plain", b"outer"), ("Content-Type: message/rfc822", inner))
    payload = parse_mail(raw, len(raw), 0)
    assert payload["text"] == "outer"
    assert payload["attachments"] == [{"name": "", "type": "message/rfc822", "size": len(inner)}]


CALENDAR = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Größe\r\nEND:VCALENDAR\r\n".encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Type: text/calendar; method=REQUEST\r\n\r\n" + CALENDAR,
        build_multipart(
            "alternative",
            ("Content-Type: text/plain", b"Invitation"),
            ("Content-Type: text/html", b"<p>Invitation"),
            ("Content-Type: text/calendar; charset=utf-8; method=REQUEST", CALENDAR),
        ),
        build_multipart(
            "mixed",
            ("Content-Type: text/plain", b"Invitation"),
            ('Content-Type: text/calendar; name="invite.ics"\r\nContent-Disposition: attachment', CALENDAR),
        ),
    ],
)
def test_an_invitation_is_in_the_payload_and_among_the_attachments(raw: bytes) -> None:
    payload = parse_mail(raw, len(raw), 0)
    assert payload["calendar"].replace("\n", "\r\n").strip().encode() == CALENDAR.strip()
    assert [attachment["type"] for attachment in payload["attachments"]] == ["text/calendar"]
    assert payload["attachments"][0]["size"] == len(CALENDAR)


def test_a_mail_that_is_only_a_file_has_an_attachment() -> None:
    raw = b'Content-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n\nMTIzNDU=\n'
    payload = parse_mail(raw, len(raw), 10)
    assert payload["attachments"] == [{"name": "a.pdf", "type": "application/pdf", "size": 5, "content": "MTIzNDU="}]
    assert (payload["text"], payload["html"], "calendar" in payload) == ("", "", False)


def test_images_of_an_html_text_are_attachments() -> None:
    raw = build_multipart(
        "related", ("Content-Type: text/html", b"<img src=cid:1>"), ("Content-Type: image/png", b"123")
    )
    payload = parse_mail(raw, len(raw), 0)
    assert payload["html"] == "<img src=cid:1>"
    assert payload["attachments"] == [{"name": "", "type": "image/png", "size": 3}]


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
                b"Content-Type: message/rfc822",
                b"Content-Type: message/delivery-status",
                b"Content-Type: text/calendar; charset=",
                b"Final-Recipient: ",
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
