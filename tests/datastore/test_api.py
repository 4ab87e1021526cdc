"""The REST API of the datastore: writing, reading, listing and deleting values."""

import json
import os
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datastore.models import Item
from tests.site.shape import paths_of_errors, problem, put_value

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

H = "http://testserver"
MULTIPART = "multipart/form-data; boundary=edge"


def put_raw(client: Client, body: bytes, content_type: str = MULTIPART) -> Any:
    return client.generic("PUT", "/v1/datastore/key", body, content_type=content_type)


@pytest.mark.parametrize(
    "value",
    [
        b"hello",
        b"\0",
        b"\xff\xfe\x00\x80",
        bytes(range(256)) * 3,
        b"\r\n",
        b"\r\n\r\n--\r\n",
        b"--other\r\nContent-Disposition: form-data\r\n\r\nx\r\n--other--\r\n",
        b"\r\n--edg",
        b"y--edge",
        b"x--edge--\r\ny",
        b"\n--edge--\n\r--edge\r",
        b"-" * 1000,
        os.urandom(200_000),
    ],
)
def test_a_value_is_returned_unchanged(client: Client, value: bytes) -> None:
    assert put_value(client, "key", value, "application/octet-stream").status_code == 201
    value_response = client.get("/v1/datastore/key")
    assert (value_response.status_code, value_response.content) == (200, value)
    assert (value_response.headers["Content-Type"], value_response.headers["Content-Length"]) == (
        "application/octet-stream",
        str(len(value)),
    )


def test_a_value_that_contains_the_boundary_is_refused_and_never_truncated(client: Client) -> None:
    assert paths_of_errors(put_value(client, "key", b"begin\r\n--edgeX\r\nend")) == ["value"]
    assert not Item.objects.exists()


def test_a_new_item_is_201_and_an_existing_one_204(client: Client) -> None:
    first = put_value(client, "key", b"1", description="what for")
    assert (first.status_code, first.content, first.headers.get("Content-Type")) == (201, b"", None)
    again = put_value(client, "key", b'{"a": 1}', "application/json")
    assert (again.status_code, again.content) == (204, b"")
    value_response = client.get("/v1/datastore/key")
    assert (value_response.content, value_response.headers["Content-Type"]) == (b'{"a": 1}', "application/json")
    assert Item.objects.get().description == ""


@pytest.mark.parametrize(
    ("sent", "served"),
    [
        (None, "text/plain; charset=us-ascii"),
        ("text/plain", "text/plain"),
        ("text/csv; charset=utf-8; header=present", "text/csv; charset=utf-8; header=present"),
        ('application/json; profile="a b;c"', 'application/json; profile="a b;c"'),
        ("application/vnd.api+json", "application/vnd.api+json"),
        ("image/png", "image/png"),
    ],
)
def test_the_content_type_of_the_part_is_kept_with_its_parameters(
    client: Client, sent: str | None, served: str
) -> None:
    put_value(client, "key", b"x", sent)
    assert client.get("/v1/datastore/key").headers["Content-Type"] == served


@pytest.mark.parametrize("content_type", ["nonsense", "text/", "text/plain; a=b\x01", "a/b;" + "c=d;" * 100, "é/x"])
def test_an_invalid_content_type_is_refused(client: Client, content_type: str) -> None:
    response = put_value(client, "key", b"x", content_type)
    assert response.status_code == 400 or client.get("/v1/datastore/key").headers["Content-Type"].isascii()
    if response.status_code == 400:
        problem(response, 400)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "TEXT/HTML; Charset=UTF-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/pdf",
        "text/javascript",
        "text/css",
        "message/rfc822",
        "x/unknown",
    ],
)
def test_active_content_is_served_as_an_attachment(client: Client, content_type: str) -> None:
    put_value(client, "key", b"<script>alert(1)</script>", content_type)
    value_response = client.get("/v1/datastore/key")
    assert (value_response.headers["Content-Type"], value_response.content) == (
        content_type,
        b"<script>alert(1)</script>",
    )
    assert value_response.headers["Content-Disposition"] == "attachment"
    assert value_response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "text/plain; charset=utf-8", "image/png", "text/csv"]
)
def test_passive_content_is_served_inline_and_never_sniffed(client: Client, content_type: str | None) -> None:
    put_value(client, "key", b"<script>", content_type)
    value_response = client.get("/v1/datastore/key")
    assert "Content-Disposition" not in value_response.headers
    assert value_response.headers["X-Content-Type-Options"] == "nosniff"


def test_accept_does_not_apply_to_values(client: Client) -> None:
    put_value(client, "key", b"x", "text/plain")
    assert (
        client.get("/v1/datastore/key", headers={"accept": "application/x-yaml"}).headers["Content-Type"]
        == "text/plain"
    )


def test_head_has_the_headers_of_get(client: Client) -> None:
    put_value(client, "key", b"12345", "text/html")
    value_response, head = client.get("/v1/datastore/key"), client.head("/v1/datastore/key")
    request_id = {"X-Request-ID": head.headers["X-Request-ID"]}
    assert (head.status_code, head.content, dict(head.headers)) == (200, b"", {**value_response.headers, **request_id})


DISPOSITION = b'Content-Disposition: form-data; name="value"; filename="v"'
COMPLETE_BODY = b"--edge\r\n" + DISPOSITION + b"\r\n\r\nhello\r\n--edge--\r\n"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"value": "v"}', "application/json"),
        (b"value=v", "application/x-www-form-urlencoded"),
        (b"value: v", "application/x-yaml"),
        (b"value", ""),
        (b"", ""),
        (b"", MULTIPART),
        (COMPLETE_BODY, "multipart/form-data"),
        (COMPLETE_BODY, "multipart/form-data; boundary="),
        (COMPLETE_BODY, "multipart/form-data; boundary=other"),
        (COMPLETE_BODY, "multipart/mixed; boundary=edge"),
        (b"--edge\r\nContent-Disposition: for", MULTIPART),
        (COMPLETE_BODY.replace(b'; filename="v"', b""), MULTIPART),
        (COMPLETE_BODY.replace(b'filename="v"', b'filename=""'), MULTIPART),
        (COMPLETE_BODY.replace(b'name="value"', b'name="other"'), MULTIPART),
        (COMPLETE_BODY.replace(b"hello", b""), MULTIPART),
        (b"--edge--\r\n", MULTIPART),
        (b"\xff\x00" * 1000, MULTIPART),
    ],
)
def test_a_body_without_a_file_part_named_value_is_refused(client: Client, body: bytes, content_type: str) -> None:
    assert paths_of_errors(put_raw(client, body, content_type)) == ["value"]
    assert Item.objects.count() == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (COMPLETE_BODY.replace(b'name="value"', b'name="foo"'), "the form has no part named 'value' (found: foo)"),
        (b"--edge--\r\n", "the form has no part named 'value' (found: no parts)"),
        (COMPLETE_BODY.replace(b'; filename="v"', b""), "part 'value' has no file name: add ;filename=NAME"),
        (COMPLETE_BODY.replace(b"hello", b""), "part 'value' is empty"),
    ],
)
def test_a_form_without_a_value_says_what_is_missing(client: Client, body: bytes, message: str) -> None:
    assert problem(put_raw(client, body), 400)["errors"] == [{"path": "value", "message": message}]


def test_the_hint_for_a_body_that_is_not_a_form_is_ascii(client: Client) -> None:
    response = put_raw(client, b"v", "text/plain")
    assert response.content.isascii()
    assert b"\\u" not in response.content


def test_a_truncated_body_is_refused(client: Client) -> None:
    for end in (
        len(COMPLETE_BODY) - 3,
        COMPLETE_BODY.index(b"\r\n--edge--"),
        COMPLETE_BODY.index(b"lo\r\n"),
        COMPLETE_BODY.index(b"hello"),
    ):
        assert paths_of_errors(put_raw(client, COMPLETE_BODY[:end])) == ["value"]
    unfinished = b'--edge\r\nContent-Disposition: form-data; name="description"\r\n\r\nwhat f'
    assert paths_of_errors(put_raw(client, COMPLETE_BODY.removesuffix(b"--edge--\r\n") + unfinished)) == ["value"]
    assert Item.objects.count() == 0


def test_the_first_of_two_values_counts(client: Client) -> None:
    second = b"--edge\r\n" + DISPOSITION + b"\r\n\r\nsecond\r\n--edge--\r\n"
    assert put_raw(client, COMPLETE_BODY.removesuffix(b"--edge--\r\n") + second).status_code == 201
    assert client.get("/v1/datastore/key").content == b"hello"


def test_the_description_comes_from_the_body_or_the_query(client: Client) -> None:
    put_value(client, "a", b"x", description="in the body: é")
    put_value(client, "b?description=in+the+query", b"x")
    put_value(client, "c?description=query", b"x", description="body")
    listed = json.loads(client.get("/v1/datastore").content)["datastore"]
    assert [item.get("description") for item in listed] == ["in the body: é", "in the query", "body"]


def test_a_value_up_to_the_limit_is_accepted_and_a_longer_one_is_413(client: Client) -> None:
    limit = settings.FLYTE_MAX_DATASTORE_VALUE_BYTES
    assert limit == 16 * 1024 * 1024
    assert put_value(client, "key", b"x" * limit).status_code == 201
    assert client.head("/v1/datastore/key").headers["Content-Length"] == str(limit)
    problem(put_value(client, "other", b"x" * (limit + 1)), 413)
    problem(put_value(client, "other", b"x" * (limit + 100_000)), 413)
    assert Item.objects.get().key == "key"


@pytest.mark.parametrize("key", ["a%20b.json", "a+b%26c", "%C3%A9", "%25", "...", "x" * 512, "'%22%3C"])
def test_a_key_can_be_any_text(client: Client, key: str) -> None:
    assert put_value(client, key, b"x").status_code == 201
    assert client.get(f"/v1/datastore/{key}").content == b"x"
    assert client.delete(f"/v1/datastore/{key}").status_code == 204


@pytest.mark.parametrize("key", ["x" * 513, "a%01b", "a%0Ab", "%7F", "a%C2%85b", "%E2%80%A8", ".", "..", "%2E%2E"])
def test_keys_with_control_characters_or_dots_only_or_that_are_too_long_are_refused(client: Client, key: str) -> None:
    assert paths_of_errors(put_value(client, key, b"x")) == ["key"]


def test_a_deleted_item_is_not_found(client: Client) -> None:
    put_value(client, "key", b"x")
    response = client.delete("/v1/datastore/key")
    assert (response.status_code, response.content) == (204, b"")
    problem(client.get("/v1/datastore/key"), 404)
    problem(client.delete("/v1/datastore/key"), 404)


def test_the_list_has_no_values_and_is_in_the_order_of_creation(client: Client) -> None:
    for key in ("b", "a", "c/d"):
        put_value(client, key.replace("/", "%252F"), b"secret", "application/json")
    put_value(client, "b", b"again", "text/plain")
    response = client.get("/v1/datastore")
    assert b"secret" not in response.content
    body = json.loads(response.content)
    assert body["datastore"][0] == {
        "key": "b",
        "contentType": "text/plain",
        "links": [{"href": f"{H}/v1/datastore/b", "rel": "self"}],
    }
    assert [item["links"][0]["href"] for item in body["datastore"][1:]] == [
        f"{H}/v1/datastore/a",
        f"{H}/v1/datastore/c%2Fd",
    ]
    assert [link["rel"] for link in body["links"]] == ["self", "up", "help"]


@pytest.mark.database
def test_the_list_reads_no_values(client: Client) -> None:
    for number in range(3):
        put_value(client, f"k{number}", b"x" * 1000)
    with CaptureQueriesContext(connection) as queries:
        client.get("/v1/datastore")
    assert len(queries) == 1
    assert '"datastore_item"."value"' not in queries[0]["sql"]


def test_next_links_lead_to_more_than_a_thousand_items(client: Client) -> None:
    keys = [f"k{(number * 7) % 2003}" for number in range(2003)]
    Item.objects.bulk_create(Item(key=key, value=b"x", content_type="text/plain") for key in keys)
    path, keys_of_pages, pages = "/v1/datastore", [], 0
    while path:
        body = json.loads(client.get(path).content)
        keys_of_pages += [item["key"] for item in body["datastore"]]
        path = next((link["href"].removeprefix(H) for link in body["links"] if link["rel"] == "next"), "")
        pages += 1
    assert (keys_of_pages, pages) == (keys, 3)


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "9" * 13, "٣"])
def test_after_must_be_a_number(client: Client, after: str) -> None:
    assert paths_of_errors(client.get("/v1/datastore", {"after": after})) == ["after"]


def test_after_may_be_large(client: Client) -> None:
    assert json.loads(client.get("/v1/datastore", {"after": "9" * 12}).content)["datastore"] == []
