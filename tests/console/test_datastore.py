"""The console's pages of datastore items."""

import re
from collections.abc import Iterator

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from pytest_django import DjangoAssertNumQueries

from datastore.lookup import DatastoreValue, find_value, get_value
from datastore.models import Item
from flyte_site.models import Change
from tests.console.conftest import SignedOn
from tests.secrets import FIRST, put_secret

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/datastore/item/"


def made(key: str = "teams", value: bytes = b'{"a": 1}', content_type: str = "application/json") -> Item:
    return Item.objects.create(key=key, value=value, content_type=content_type)


def fields(**changed: object) -> dict[str, object]:
    return {"key": "teams", "content_type": "application/json", "description": "", "text": '{"a": 2}', **changed}


def test_an_empty_list_explains_items(signed_on: SignedOn) -> None:
    assert "Items are values that flows share" in signed_on("viewer").get(LIST).content.decode()


def test_an_item_is_created_and_read_by_flows(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    assert client.post(f"{LIST}add/", fields(description="who")).headers["Location"] == LIST
    assert get_value("teams") == {"a": 2}
    change = Change.objects.get()
    assert (change.actor, change.what, change.kind, change.key) == ("editor", "created", "datastore item", "teams")
    assert "2" not in str(change.detail.get("value", ""))


def test_the_list_truncates_a_long_description(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    client.post(f"{LIST}add/", fields(description="who is on duty " + "and when " * 300 + "the end"))
    page = client.get(LIST).content.decode()
    assert "who is on duty and when" in page
    assert "the end" not in page
    assert "the end" in client.get(f"{LIST}{Item.objects.get().pk}/change/").content.decode()


def test_an_item_is_edited(signed_on: SignedOn) -> None:
    item, client = made(), signed_on("editor")
    page = client.get(f"{LIST}{item.pk}/change/").content.decode()
    assert "{&quot;a&quot;: 1}" in page
    client.post(f"{LIST}{item.pk}/change/", fields(text='{"b":\r\n 3}'))
    item.refresh_from_db()
    assert (bytes(item.value), Item.objects.count()) == (b'{"b":\n 3}', 1)
    assert [change.what for change in Change.objects.all()] == ["changed"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"text": "{"}, "Invalid JSON at line 1, column 2: expecting property name enclosed in double quotes."),
        ({"text": '{"a": 1,\r\n oops}'}, "Invalid JSON at line 2, column 2: expecting property name"),
        ({"text": '{"a": 1, "a": 2}'}, "Invalid JSON: duplicate key &#x27;a&#x27;."),
        ({"text": "[1e999]"}, "Invalid JSON: number too large: 1e999; use a string."),
        (
            {"content_type": "text/plain; charset=klingon"},
            "not valid text/plain; charset=klingon: unsupported charset &#x27;klingon&#x27;; use utf-8.",
        ),
        ({"text": ""}, "must not be empty"),
        ({"content_type": "json"}, "Enter a valid content type"),
        ({"key": "a\x01b"}, "control characters"),
        ({"key": "x" * 513}, "at most 512"),
    ],
)
def test_an_invalid_value_is_reported_and_not_saved(signed_on: SignedOn, changed: dict[str, str], message: str) -> None:
    answer = signed_on("editor").post(f"{LIST}add/", fields(**changed))
    assert answer.status_code == 200
    assert message in answer.content.decode()
    assert not Item.objects.exists()


def test_a_file_that_is_not_json_is_refused_if_its_type_is_json(signed_on: SignedOn) -> None:
    file = SimpleUploadedFile("a.json", b'{"a": 1')
    answer = signed_on("editor").post(f"{LIST}add/", fields(text="", file=file))
    assert "Invalid JSON at line 1, column 8: expecting &#x27;,&#x27; delimiter." in answer.content.decode()
    assert not Item.objects.exists()


def test_json_of_another_type_is_saved_with_a_warning(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    answer = client.post(f"{LIST}add/", fields(content_type="text/plain"), follow=True)
    assert "The value is JSON, but its content type is text/plain" in answer.content.decode()
    assert find_value("teams").value == '{"a": 2}'


def test_the_type_of_a_value_that_is_not_json_cannot_become_json(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    client.post(f"{LIST}add/", fields(content_type="image/png", text="", file=SimpleUploadedFile("a.png", b"\x00\xff")))
    page = f"{LIST}{Item.objects.get().pk}/change/"
    answer = client.post(page, {"content_type": "application/json", "description": ""})
    assert "not valid" in answer.content.decode() or "Invalid JSON" in answer.content.decode()
    assert Item.objects.get().content_type == "image/png"


def test_a_key_that_exists_is_reported_and_its_item_stays(signed_on: SignedOn) -> None:
    made()
    said = signed_on("editor").post(f"{LIST}add/", fields()).content.decode()
    assert "A datastore item with this key already exists." in said
    assert get_value("teams") == {"a": 1}


def test_a_file_that_is_too_large_leaves_the_rest_of_the_form_as_entered(
    signed_on: SignedOn, settings: LazySettings
) -> None:
    limit = settings.FLYTE_MAX_DATASTORE_VALUE_BYTES = 2 * 1024 * 1024
    file = SimpleUploadedFile("a.bin", b"x" * (limit + 1))
    answer = signed_on("editor").post(f"{LIST}add/", fields(key="kept", text="", file=file))
    assert answer.status_code == 200
    assert "The file is 2.01 MiB; values can be at most 2 MiB." in answer.content.decode()
    assert 'value="kept"' in answer.content.decode()
    assert not Item.objects.exists()


def test_a_request_that_is_too_large_names_the_limit_and_leads_back_to_the_form(
    signed_on: SignedOn, settings: LazySettings
) -> None:
    settings.FLYTE_MAX_DATASTORE_VALUE_BYTES = 1024 * 1024
    file = SimpleUploadedFile("a.bin", b"x" * (2 * 1024 * 1024))
    answer = signed_on("editor").post(f"{LIST}add/", fields(key="k", text="", file=file))
    assert answer.status_code == 413
    said = answer.content.decode()
    assert "You sent 2.01 MiB, and the limit is 1.07 MiB. Nothing was saved, and your input is lost." in said
    assert "FLYTE_MAX_DATASTORE_VALUE_BYTES" in said
    assert f'<a href="{LIST}add/">Back to the form</a>' in said


def test_a_file_is_stored_and_downloaded_unchanged(signed_on: SignedOn) -> None:
    client, picture = signed_on("editor"), bytes(range(256))
    file = SimpleUploadedFile("a.png", picture)
    client.post(f"{LIST}add/", fields(key="picture", content_type="image/png", text="", file=file))
    item = Item.objects.get()
    answer = client.get(f"{LIST}{item.pk}/download/")
    assert (answer.content, answer.headers["Content-Type"]) == (picture, "image/png")
    assert answer.headers["Content-Disposition"] == "attachment"
    page = client.get(f"{LIST}{item.pk}/change/").content.decode()
    assert 'name="text"' not in page
    client.post(f"{LIST}{item.pk}/change/", {"content_type": "image/x-icon", "description": "no new bytes"})
    item.refresh_from_db()
    assert (bytes(item.value), item.content_type) == (picture, "image/x-icon")


def test_a_viewer_can_see_values_but_not_change_them(signed_on: SignedOn) -> None:
    item, client = made(value=b'{"seen": "<b>"}'), signed_on("viewer")
    page = client.get(f"{LIST}{item.pk}/change/").content.decode()
    assert "&lt;b&gt;" in page
    assert 'name="_save"' not in page
    assert client.get(f"{LIST}{item.pk}/download/").status_code == 200
    assert client.post(f"{LIST}{item.pk}/change/", fields()).status_code == 403
    assert client.post(f"{LIST}add/", fields(key="new")).status_code == 403
    assert client.post(f"{LIST}{item.pk}/delete/", {"post": "yes"}).status_code == 403
    assert bytes(Item.objects.get().value) == b'{"seen": "<b>"}'


def test_a_user_without_a_role_sees_no_values(signed_on: SignedOn) -> None:
    item, client = made(), signed_on("")
    for path in (LIST, f"{LIST}{item.pk}/change/", f"{LIST}{item.pk}/download/"):
        assert client.get(path).status_code == 403


def test_an_item_is_deleted(signed_on: SignedOn) -> None:
    item = made()
    signed_on("editor").post(f"{LIST}{item.pk}/delete/", {"post": "yes"})
    assert not Item.objects.exists()
    assert [change.what for change in Change.objects.all()] == ["deleted"]


def test_a_form_without_a_csrf_token_is_refused(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(f"{LIST}add/", fields()).status_code == 403
    assert not Item.objects.exists()


def test_the_list_needs_constant_queries(
    signed_on: SignedOn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = signed_on("viewer")
    Item.objects.bulk_create(Item(key=f"k{n}", value=b"x" * 1000, content_type="text/plain") for n in range(150))
    with django_assert_num_queries(7) as queries:
        page = client.get(LIST).content.decode()
    assert "1000\xa0bytes" in page
    assert not any('"datastore_item"."value",' in query["sql"] for query in queries)


@pytest.fixture
def keys() -> Iterator[None]:
    with override_settings(FLYTE_ENCRYPTION_KEYS=FIRST):
        yield


def test_a_secret_item_is_created_and_never_shown(signed_on: SignedOn, keys: None) -> None:
    client = signed_on("editor")
    client.post(f"{LIST}add/", fields(text='"canary-77"', secret="on"))
    item = Item.objects.get()
    assert find_value("teams") == DatastoreValue("canary-77", True, "application/json")
    assert b"canary-77" not in bytes(item.value)
    paths = [LIST, f"{LIST}{item.pk}/change/", f"{LIST}{item.pk}/download/", "/admin/flyte_site/change/"]
    for who in (client, signed_on("viewer")):
        for path in paths:
            answer = who.get(path)
            assert "canary-77" not in answer.content.decode(), path
            assert answer.status_code == (403 if "download" in path else 200), path


def test_a_secret_item_keeps_its_value_until_a_new_one_is_entered(signed_on: SignedOn, keys: None) -> None:
    put_secret("teams", '"old"', "application/json")
    item, client = Item.objects.get(), signed_on("editor")
    page = f"{LIST}{item.pk}/change/"
    assert client.post(page, fields(text="", secret="on", description="new words")).status_code == 302
    item.refresh_from_db()
    assert (find_value("teams").value, item.description) == ("old", "new words")
    client.post(page, fields(text='"new"', secret="on"))
    assert find_value("teams") == DatastoreValue("new", True, "application/json")
    refused = client.post(page, fields(text=""))
    assert "Enter a new value" in refused.content.decode()
    assert find_value("teams") == DatastoreValue("new", True, "application/json")
    client.post(page, fields(text='"public"'))
    assert find_value("teams") == DatastoreValue("public", False, "application/json")


def test_an_entered_secret_is_not_in_the_page_with_the_error(signed_on: SignedOn, keys: None) -> None:
    answer = signed_on("editor").post(f"{LIST}add/", fields(text="{canary-77", secret="on"))
    assert answer.status_code == 200
    assert "The value is not valid application/json" in answer.content.decode()
    assert "canary-77" not in answer.content.decode()


def test_without_keys_the_form_names_the_missing_setting(signed_on: SignedOn) -> None:
    client = signed_on("editor")
    for path in (f"{LIST}add/", f"{LIST}{made('old').pk}/change/"):
        page = client.get(path).content.decode()
        assert re.search('<input type="checkbox" name="secret"[^>]* disabled', page)
        assert "FLYTE_ENCRYPTION_KEYS is not set" in page
        answer = client.post(path, fields(secret="on"))
        assert "needs FLYTE_ENCRYPTION_KEYS" in answer.content.decode()
    assert [item.key for item in Item.objects.all()] == ["old"]


def test_with_keys_an_item_can_be_secret(signed_on: SignedOn, keys: None) -> None:
    page = signed_on("editor").get(f"{LIST}add/").content.decode()
    assert not re.search('name="secret"[^>]* disabled', page)
    assert "Never shown again" in page


def test_the_form_shows_times_like_every_page(signed_on: SignedOn) -> None:
    page = signed_on("editor").get(f"{LIST}{made().pk}/change/").content.decode()
    assert page.count("<time datetime=") == 2
    assert "p.m." not in page
    assert "a.m." not in page
