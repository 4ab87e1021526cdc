"""Values of the datastore for templates."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from datastore import lookup
from datastore.lookup import decode_value, get_value, is_json_media_type
from datastore.models import Item

JSON = "application/json"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("value", "content_type", "expected"),
    [
        (b"hello", "text/plain", "hello"),
        (b"hello", "text/plain; charset=us-ascii", "hello"),
        (b"\xc3\xa9", "text/plain; charset=us-ascii", "é"),
        (b"\xc3\xa9", "text/plain", "é"),
        (b"\xe9", "text/plain; charset=iso-8859-1", "é"),
        (b"\xe9", 'text/plain; charset="ISO-8859-1"', "é"),
        (b"", "text/plain", ""),
        (b"a\0b", "text/plain", "a\0b"),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b'{"a": 1}', "application/x-yaml", '{"a": 1}'),
        (b'{"a": [1, 1.5, null]}', JSON, {"a": [1, 1.5, None]}),
        (b'{"a": 1}', "Application/JSON; charset=utf-8", {"a": 1}),
        (b"[1, 2]", JSON, [1, 2]),
        (b'"text"', JSON, "text"),
        (b"5", JSON, 5),
        (b"true", JSON, True),
        (b"null", JSON, None),
        (b"\xef\xbb\xbf[1]", JSON, [1]),
        (b'{"a": 1}', "application/vnd.api+json", {"a": 1}),
        (b'{"a": 1}', "text/json", {"a": 1}),
        ('"é"'.encode("utf-16"), "application/json; charset=utf-16", "é"),
    ],
)
def test_bytes_are_decoded_to_json_or_text_by_their_content_type(
    value: bytes, content_type: str, expected: Any
) -> None:
    decoded = decode_value(value, content_type)
    assert decoded == expected
    assert type(decoded) is type(expected)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        (b"not json", JSON),
        (b"", JSON),
        (b"NaN", JSON),
        (b"1e999", JSON),
        (b"[" * 100_000, JSON),
        (b"\xff\xfe", "text/plain"),
        (b"\xff", "application/octet-stream"),
        (b"\xe9", "application/json"),
        (b"x", "text/plain; charset=klingon"),
        (b"x" * 100_000, "text/plain; charset=punycode"),
        (b"+2AA-", "text/plain; charset=utf-7"),
    ],
)
def test_an_undecodable_value_raises_a_value_error(value: bytes, content_type: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid |too large|nested|^unsupported charset '[a-z0-9-]+'; use utf-8$"):
        decode_value(value, content_type)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (JSON, True),
        ("text/json", True),
        ("application/geo+json", True),
        ("APPLICATION/LD+JSON", True),
        ("application/jsonx", False),
        ("application/json-seq", False),
        ("text/plain", False),
        ("json", False),
        ("", False),
    ],
)
def test_json_media_types_are_recognized(media_type: str, expected: bool) -> None:
    assert is_json_media_type(media_type) is expected


@pytest.mark.integration
@pytest.mark.django_db
def test_a_value_is_found_by_its_key_in_one_query() -> None:
    Item.objects.create(key="teams", value=b'{"a": {"email": "x@y"}}', content_type=JSON)
    with CaptureQueriesContext(connection) as queries:
        assert get_value("teams") == {"a": {"email": "x@y"}}
    assert len(queries) == 1


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize("key", ["none", "", "Teams", "a\0b", "x" * 10_000])
def test_an_unknown_key_is_reported(key: str) -> None:
    Item.objects.create(key="teams", value=b"x", content_type="text/plain")
    with pytest.raises(LookupError, match=r"datastore item .* not found"):
        get_value(key)


@pytest.mark.integration
@pytest.mark.django_db
def test_an_undecodable_value_is_reported_with_the_reason() -> None:
    Item.objects.create(key="bad", value=b"not json", content_type=JSON)
    with pytest.raises(LookupError, match="can't read datastore item 'bad', stored as application/json: invalid JSON"):
        get_value("bad")


@pytest.mark.django_db
def test_a_value_is_decoded_once_per_version_and_changes_are_visible_immediately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded: list[bytes] = []
    decode = lookup.decode_value

    def record_and_decode(value: bytes, content_type: str) -> Any:
        decoded.append(value)
        return decode(value, content_type)

    monkeypatch.setattr(lookup, "decode_value", record_and_decode)
    item = Item.objects.create(key="counted", value=b'{"count": 1}', content_type="application/json")
    assert [lookup.get_value("counted") for _ in range(3)] == [{"count": 1}] * 3
    item.value = b'{"count": 2}'
    item.save()
    assert [lookup.get_value("counted") for _ in range(3)] == [{"count": 2}] * 3
    assert decoded == [b'{"count": 1}', b'{"count": 2}']
