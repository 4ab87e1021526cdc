"""Bodies of requests to the Webhook pack: encodings, forms, compression, and values that JSON can't hold."""

import gzip
import json
import zlib
from typing import Any

import pytest

from flyte_client.errors import RefusedError
from flyte_client.events import Event, encode_event
from flyte_client.packs.webhook.http_messages import RequestBodyError, WebhookRequest
from flyte_client.packs.webhook.receiver import WebhookReceiver
from flyte_client.packs.webhook.request_body import parse_body, parse_form
from flyte_client.packs.webhook.settings import Hook

pytestmark = pytest.mark.unit

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
HOOK = Hook("open", "none", headers=("X-Topic",))


class EventRecorder:
    """The function that sends events; it records them as the server gets them."""

    def __init__(self) -> None:
        self.payloads: list[Any] = []

    def __call__(self, name: str, payload: Any, key: str | None) -> bool:
        self.payloads.append(json.loads(encode_event(Event(name, payload)))["payload"])
        return True


def receive(body: bytes, content_type: str = JSON, query: str = "", **headers: str) -> tuple[int, Any]:
    recorder = EventRecorder()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = WebhookRequest("POST", HOOK.path, query, names | {"content-type": content_type}, body)
    response = WebhookReceiver((HOOK,), recorder, 1000).receive(request)
    return response.status, recorder.payloads[0] if recorder.payloads else response.text


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        (JSON, b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (JSON, '{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        (f"{JSON}; charset=iso-8859-1", b'{"a": "\xe9"}', {"a": "é"}),
        (JSON, b'{"a": "\xe9"}', {"a": "é"}),
        ("application/vnd.github+json", b"\xef\xbb\xbf[]", []),
        (JSON, b'{"a": "\\ud83d", "\\ude00": "\\ud83d\\ude00"}', {"a": "\ufffd", "\ufffd": "😀"}),
        ("text/plain", b"gr\xfc\xdfe", "grüße"),
        ("text/plain; charset=koi8-r", "Привет".encode("koi8-r"), "Привет"),
        ("text/plain", b"\xef\xbb\xbfhello", "hello"),
        ("text/xml", '<?xml version="1.0" encoding="cp1251"?>Да'.encode("cp1251"), None),
        ("", b"\xff", "ÿ"),
        (FORM, b"{}", {}),
        (FORM, b" [] ", []),
        (FORM, b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (FORM, b"{a}=1", {"{a}": "1"}),
        (FORM, b"\xef\xbb\xbfname=a&b=2", {"name": "a", "b": "2"}),
        (FORM, b"%EF%BB%BFname=a", {"name": "a"}),
        (FORM, b"a=%C3%A9&b=%E9&c=\xe9&%FC=\xc3\xbc&d=", {"a": "é", "b": "é", "c": "é", "ü": "ü", "d": ""}),
        (f"{FORM}; charset=windows-1251", b"a=%C4%E0&a=+", {"a": ["Да", " "]}),
        ("application/vnd.api+json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("text/json", b"[1]", [1]),
        ("application/x-ndjson", b'{"a": 1}\n\n[2]\r\n"3"', [{"a": 1}, [2], "3"]),
        ("application/json-seq", b"\x1e1\n\x1e2\n", [1, 2]),
        ("application/x-yaml", b"a: 1\n", "a: 1\n"),
        (FORM, b' {"a": "b=c&d"}', {"a": "b=c&d"}),
        (FORM, b"[1, 2]", [1, 2]),
        (FORM, b"{a=1", {"{a": "1"}),
        (FORM, b"payload=%7B%22a%22%3A%22%F0%9F%9A%80%22%7D", {"payload": '{"a":"🚀"}'}),
    ],
)
def test_a_body_is_decoded(content_type: str, body: bytes, value: Any) -> None:
    status, payload = receive(body, content_type)
    assert status == 202
    if value is None:
        assert payload["body"].endswith("Да")
    else:
        assert payload["body"] == value


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b'{"a": 1}', mtime=0)), ("deflate", zlib.compress(b'{"a": 1}')), ("identity", b'{"a": 1}')],
)
def test_a_body_is_decompressed(encoding: str, body: bytes) -> None:
    assert receive(body, content_encoding=encoding)[1]["body"] == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "body", "status", "text"),
    [
        ("gzip", gzip.compress(b" " * 1001, mtime=0), 413, "decompressed content exceeds the limit of 1000 bytes"),
        ("gzip", b"{}", 400, "invalid compressed content"),
        ("br", b"{}", 415, "unsupported content encoding 'br'"),
    ],
)
def test_a_body_that_cannot_be_decompressed_is_refused(encoding: str, body: bytes, status: int, text: str) -> None:
    answer = receive(body, content_encoding=encoding)
    assert (answer[0], text in answer[1]) == (status, True)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"a": [1e400]}', "1e400 is not a number that JSON can hold"),
        (b'{"a": NaN}', "NaN is not a number that JSON can hold"),
        (b"1" * 5000, "a number has more than 4300 digits, which JSON can't hold"),
        (b"[-Infinity]", "-Infinity is not a number that JSON can hold"),
        (b"{", "line 1 column 2"),
        (b"[" * 5000 + b"]" * 5000, "request body is not valid JSON: nested deeper than 100 levels"),
        (b"[" * 900 + b"]" * 900, "request body is not valid JSON: nested deeper than 100 levels"),
        (b"[" * 99 + b"]" * 99, "invalid request: the event would be nested deeper than 100 levels"),
    ],
)
def test_json_that_is_invalid_is_refused_with_the_reason(body: bytes, text: str) -> None:
    status, answer = receive(body)
    assert (status, text in answer) == (400, True)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"[" * 900 + b"]" * 900),
        ("application/x-ndjson", b"1\n" + b"[" * 900 + b"]" * 900),
        ("application/vnd.x+json", b'{"a":' * 900 + b"1" + b"}" * 900),
    ],
)
def test_json_of_each_type_that_is_nested_too_deeply_is_refused_with_the_limit(content_type: str, body: bytes) -> None:
    status, text = receive(body, content_type)
    assert (status, text.endswith("nested deeper than 100 levels")) == (400, True)


def test_the_sender_is_sent_the_reason_of_the_server() -> None:
    def refuse(name: str, payload: Any, key: str | None) -> bool:
        raise RefusedError(400, "Bad Request; payload.n: is too large")

    request = WebhookRequest("POST", HOOK.path, "", {"content-type": JSON}, b"{}")
    response = WebhookReceiver((HOOK,), refuse, 1000).receive(request)
    assert (response.status, response.text) == (400, "invalid event: payload.n: is too large")


def test_a_line_that_is_not_json_is_refused_with_its_number() -> None:
    status, text = receive(b"1\n{", "application/x-ndjson")
    assert (status, "not valid JSON: line 2: " in text) == (400, True)
    assert receive(b"1\n" * 10_001, "application/x-ndjson")[0] == 413


MULTIPART = "multipart/form-data; boundary=x"
PARTS = (
    b'--x\r\ncontent-disposition: form-data; name="to"\r\n\r\nann@example.com\r\n'
    b'--x\r\ncontent-disposition: form-data; name="tag"\r\ncontent-type: text/plain; charset=latin1\r\n\r\n\xe9\r\n'
    b'--x\r\ncontent-disposition: form-data; name="tag"\r\n\r\n\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n'
    b"content-type: image/png\r\n\r\n\x00\xff\r\n"
    b"--x--\r\n"
)


def test_a_multipart_form_has_fields_and_files() -> None:
    status, payload = receive(PARTS, MULTIPART)
    file = {"name": "a.bin", "type": "image/png", "size": 2, "content": "AP8="}
    assert (status, payload["body"]) == (202, {"to": "ann@example.com", "tag": ["é", ""], "file": file})


@pytest.mark.parametrize(
    ("content_type", "body", "status", "text"),
    [
        ("multipart/form-data", PARTS, 400, "boundary not found"),
        (MULTIPART, PARTS[:-6], 400, "invalid multipart body"),
        (MULTIPART, b"--x", 400, "invalid multipart body"),
        (
            MULTIPART,
            b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n' * 101 + b"--x--\r\n",
            413,
            "too many",
        ),
        ("multipart/mixed; boundary=x", PARTS, 415, "unsupported media type 'multipart/mixed'"),
        ("application/octet-stream", b"\0", 415, "unsupported media type 'application/octet-stream'"),
    ],
)
def test_an_invalid_multipart_form_is_refused(content_type: str, body: bytes, status: int, text: str) -> None:
    answer = receive(body, content_type)
    assert (answer[0], text in answer[1]) == (status, True), answer


def test_query_and_headers_are_decoded() -> None:
    topic = "größe".encode().decode("latin-1")
    _, payload = receive(b"{}", query="q=%E9&r=%C3%A9&s=\xc3\xa9", x_topic=topic)
    assert payload["query"] == {"q": "é", "r": "é", "s": "é"}
    assert payload["headers"] == {"X-Topic": "größe"}


def test_a_form_with_too_many_fields_is_refused() -> None:
    with pytest.raises(RequestBodyError, match="too many fields"):
        parse_form(b"a=1&" * 2000)
    assert parse_body(FORM, b"") is None


@pytest.mark.parametrize("content_type", [JSON, FORM])
@pytest.mark.parametrize("body", [b'{"a": 1e400}', b'{"a": NaN}', b"[" * 5000 + b"]" * 5000])
def test_json_that_can_not_be_an_event_is_refused_in_each_type(content_type: str, body: bytes) -> None:
    status, reason = receive(body, content_type)
    assert status == 400
    assert "not valid JSON" in reason
