"""Values that templates can't read as intended: invalid JSON, and JSON of another type."""

from typing import Any

import pytest
from django.test import Client, override_settings

from datastore.value_checks import find_value_warnings
from flows.engine.matching import read_datastore
from flows.template import RenderContext, Secret, TemplateError, compile_template
from tests.secrets import FIRST
from tests.site.shape import put_value

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

JSON = "application/json"
HEADER = "X-Flyte-Warning"


def template_error(source: str) -> str:
    with pytest.raises(TemplateError) as caught:
        compile_template(source).render(RenderContext({}, read_datastore))
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "content_type", "warning"),
    [
        (b'{"a": 1', JSON, "is not valid application/json (invalid JSON: "),
        (b"", JSON, "is not valid application/json (invalid JSON: "),
        (b"hello", "application/problem+json", "is not valid application/problem+json (invalid JSON: "),
        (b"[1e999]", JSON, "is not valid application/json (number too large: 1e999"),
        (b"\xff", "text/plain", "is not valid text/plain (invalid utf-8 text at byte offset 0"),
        (b'{"a": 1}', "text/plain; charset=us-ascii", "is JSON, but its type is text/plain; charset"),
        (b" [1, 2]\n", "application/octet-stream", "is JSON, but its type is application/octet-stream"),
        (b'{"a": 1}', "text/html", "is JSON, but its type is text/html"),
    ],
)  # fmt: skip
def test_a_probable_mistake_is_a_warning(value: bytes, content_type: str, warning: str) -> None:
    (value_warning,) = find_value_warnings(value, content_type)
    assert value_warning.message.startswith(warning)


@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        (b'{"a": 1}', JSON), (b"\xef\xbb\xbf{}", JSON), (b"5", "text/plain"), (b"{name}", "text/plain"),
        (b"[x]", "text/plain"),
        (b'{"a": 1}', "application/x-yaml"), (b"[]", "text/javascript"), (b"hello", "text/plain"),
        (b"\x00\xff", "application/octet-stream"), (b"\xff", "image/png"),
    ],
)  # fmt: skip
def test_other_values_give_no_warning(value: bytes, content_type: str) -> None:
    assert find_value_warnings(value, content_type) == []


def test_a_value_is_stored_with_the_warning_in_a_header(client: Client) -> None:
    first = put_value(client, "teams", b'{"a": ', JSON)
    assert (first.status_code, first.content) == (201, b"")
    assert first[HEADER].startswith("value: is not valid application/json (invalid JSON: ")
    second = put_value(client, "teams", b'{"a": 1}', "text/plain")
    assert (second.status_code, second[HEADER][:43]) == (204, "value: is JSON, but its type is text/plain:")
    assert HEADER not in put_value(client, "teams", b'{"a": 1}', JSON)


@override_settings(FLYTE_ENCRYPTION_KEYS=FIRST)
def test_the_warning_about_a_secret_does_not_quote_it(client: Client) -> None:
    warning = "value: is not valid application/json; templates can't read it"
    assert put_value(client, "pin", b"[1e999]", JSON, secret="true")[HEADER] == warning
    assert put_value(client, "pin", b"[1e998]", JSON)[HEADER] == warning


def test_the_error_of_a_template_names_the_stored_type(client: Client) -> None:
    put_value(client, "bad", b"{", JSON)
    put_value(client, "teams", b'{"ops": 1}', "text/plain")
    assert template_error("{{ datastore('bad').ops }}").startswith(
        "can't read datastore item 'bad', stored as application/json: invalid JSON"
    )
    stored = "a string (datastore item 'teams' is stored as text/plain)"
    assert template_error("{{ datastore('teams').ops }}") == f"cannot read .ops: {stored} has no fields"
    assert template_error("{% set t = datastore('teams') %}{{ t|key:'ops' }}") == f"key needs a map, not {stored}"


def test_reading_json_of_another_type_is_a_warning_of_the_dry_run(client: Client) -> None:
    put_value(client, "teams", b'{"ops": 1}', "text/plain")
    render_context = RenderContext({}, read_datastore)
    collected: list[Any] = []
    render_context.collected_warnings = collected

    assert compile_template("{{ datastore('teams') }}").render(render_context) == '{"ops": 1}'

    render_context.collect_warnings("", "")
    message = "datastore item 'teams' is stored as text/plain, so it is a string, not a map or list"
    assert [warning.message for warning in collected] == [message]


@override_settings(FLYTE_ENCRYPTION_KEYS=FIRST)
def test_a_secret_text_is_read_as_before(client: Client) -> None:
    put_value(client, "token", b"s3cret", "text/plain", secret="true")
    value = read_datastore("token")
    assert isinstance(value, Secret)
    assert (value.value, value.sources) == ("s3cret", ("s3cret",))


def test_a_stored_text_can_be_the_key_of_another_item(client: Client) -> None:
    put_value(client, "current", b"teams\n", "text/plain")
    put_value(client, "teams", b'{"ops": 1}', JSON)
    template = compile_template("{{ datastore(datastore('current')).ops }}")
    assert template.render(RenderContext({}, read_datastore)) == "1"
