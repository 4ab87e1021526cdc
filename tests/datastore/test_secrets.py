"""Secret items: encrypted in the database, readable only by templates."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from datastore.lookup import DatastoreValue, find_value
from datastore.models import Item
from datastore.service import MAX_SECRET_BYTES
from flyte_site.models import Change
from tests.secrets import FIRST, SECOND, put_secret
from tests.site.shape import paths_of_errors, problem, put_value

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

CANARY = "canary-5f2c"


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    with override_settings(FLYTE_ENCRYPTION_KEYS=FIRST):
        yield


def get_item(key: str = "key") -> Item:
    return Item.objects.get(key=key)


def list_items(client: Client) -> dict[str, Any]:
    items = json.loads(client.get("/v1/datastore").content)["datastore"]
    return {item["key"]: item for item in items}


@pytest.mark.parametrize("value", [CANARY.encode(), b"\x00\xff", b"x" * MAX_SECRET_BYTES])
def test_a_secret_item_is_encrypted_and_templates_read_it(client: Client, value: bytes) -> None:
    response = put_value(client, "key", value, "text/plain; charset=latin-1", secret="true")
    assert (response.status_code, response.content) == (201, b"")
    assert value not in bytes(get_item().value)
    assert get_item().get_plaintext() == value
    assert find_value("key") == DatastoreValue(value.decode("latin-1"), True, "text/plain; charset=latin-1")


def test_a_secret_json_item_is_read_as_json(client: Client) -> None:
    put_value(client, "key", b'{"a": [1]}', "application/json", secret="1")
    assert find_value("key") == DatastoreValue({"a": [1]}, True, "application/json")


def test_a_secret_value_is_never_returned(client: Client) -> None:
    put_secret("key", CANARY)
    detail = problem(client.get("/v1/datastore/key"), 403)["detail"]
    assert "secret" in detail
    assert CANARY not in detail


def test_the_list_marks_secret_items_only(client: Client) -> None:
    put_secret("key", CANARY)
    put_value(client, "plain", b"1")
    items = list_items(client)
    assert items["key"]["secret"] is True
    assert "secret" not in items["plain"]


def test_secret_can_be_a_query_parameter(client: Client) -> None:
    assert put_value(client, "key?secret=true", b"1").status_code == 201
    assert get_item().secret


@pytest.mark.parametrize("flag", ["yes", "2", "\x00"])
def test_an_invalid_boolean_is_refused(client: Client, flag: str) -> None:
    assert paths_of_errors(put_value(client, "key", b"1", secret=flag)) == ["secret"]
    assert not Item.objects.exists()


def test_a_secret_item_stays_secret_until_it_is_set_to_false(client: Client) -> None:
    put_secret("key", "old")
    assert put_value(client, "key", CANARY.encode()).status_code == 204
    assert (get_item().secret, find_value("key").value) == (True, CANARY)
    assert put_value(client, "key", b"public", secret="false").status_code == 204
    assert (get_item().secret, bytes(get_item().value)) == (False, b"public")
    assert client.get("/v1/datastore/key").content == b"public"


def test_a_plain_item_can_become_secret(client: Client) -> None:
    put_value(client, "key", b"public")
    put_value(client, "key", CANARY.encode(), secret="true")
    assert get_item().secret
    assert find_value("key").value == CANARY


def test_without_keys_a_secret_is_refused_naming_the_missing_setting(client: Client) -> None:
    put_secret("key", "old")
    with override_settings(FLYTE_ENCRYPTION_KEYS=""):
        for fields in ({"secret": "true"}, {}):
            response = put_value(client, "key", b"new", **fields)
            assert paths_of_errors(response) == ["secret"]
            assert "FLYTE_ENCRYPTION_KEYS" in response.content.decode()
        assert paths_of_errors(put_value(client, "other", b"new", secret="true")) == ["secret"]
        assert put_value(client, "plain", b"1").status_code == 201
    assert find_value("key").value == "old"


def test_secrets_have_a_smaller_size_limit(client: Client) -> None:
    body = problem(put_value(client, "key", b"x" * (MAX_SECRET_BYTES + 1), secret="true"), 413)
    assert str(MAX_SECRET_BYTES) in body["detail"]


@pytest.mark.parametrize(("other_keys", "message"), [("", "has no key"), (SECOND, "FLYTE_ENCRYPTION_KEYS lacks")])
def test_a_missing_encryption_key_is_reported_to_the_flow_author(other_keys: str, message: str) -> None:
    put_secret("key", CANARY)
    with override_settings(FLYTE_ENCRYPTION_KEYS=other_keys), pytest.raises(LookupError, match=message) as raised:
        find_value("key")
    assert "'key'" in str(raised.value)


def test_an_encrypted_value_cannot_be_copied_to_another_item() -> None:
    put_secret("key", CANARY)
    put_secret("other", "x")
    Item.objects.filter(key="other").update(value=get_item().value)
    with pytest.raises(LookupError, match="it was encrypted for another item"):
        find_value("other")


def test_an_undecodable_secret_is_reported_without_its_value() -> None:
    put_secret("key", f"{{{CANARY}", "application/json")
    with pytest.raises(LookupError, match="is not valid application/json") as raised:
        find_value("key")
    assert CANARY not in str(raised.value)


def test_the_activity_log_has_the_change_without_the_value(client: Client) -> None:
    put_value(client, "key", CANARY.encode(), secret="true")
    change = Change.objects.get()
    assert (change.what, change.key, change.detail) == ("created", "key", {"contentType": "text/plain", "secret": True})
