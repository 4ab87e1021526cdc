"""What looks like a secret is masked."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings

from flyte_site.core.redaction.keys import MASK, is_secret_key, preview_json, redact_keys, visible_text_contains

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "key", ["password", "Password", "db_password", "X-API-Key", "apikey", "apiKey", "private key", "AccessToken", "pwd"]
)
def test_keys_that_name_a_secret_are_known_however_they_are_written(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["message", "pass", "key", "author", "", "ключ"])
def test_other_keys_are_not(key: str) -> None:
    assert not is_secret_key(key)


def test_values_under_such_keys_are_masked_at_any_depth_and_nothing_else() -> None:
    value = {"a": [{"token": "x", "n": 1}], "secret": {"b": 2}, "password": None, "text": "password"}
    assert redact_keys(value) == {"a": [{"token": MASK, "n": 1}], "secret": MASK, "password": None, "text": "password"}
    assert value["a"] == [{"token": "x", "n": 1}], "the value itself stays"


@pytest.mark.parametrize(("setting", "secret"), [("pin", True), (" Pin , x", True), ("-", False), (",", False)])
def test_the_names_are_set_by_the_operator(setting: str, secret: bool) -> None:
    with override_settings(FLYTE_MASKED_KEYS=setting):
        assert redact_keys({"my-pin": 1}) == {"my-pin": MASK if secret else 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("a", '"a"'),
        ("5", '"5"'),
        (5, "5"),
        (True, "true"),
        ([], "[]"),
        ({}, "{}"),
        ({"é": [1, {"token": 2}]}, '{"é": [1, {"token": "••••••"}]}'),
        (datetime(2026, 11, 21, tzinfo=UTC), '"2026-11-21T00:00:00.000Z"'),
        ("x" * 500, '"' + "x" * 99 + "…"),
        (["x"] * 500, json.dumps(["x"] * 500)[:100] + "…"),
        (object(), '"<object>"'),
    ],
)
def test_a_value_as_text_is_the_beginning_of_its_json(value: Any, text: str) -> None:
    assert preview_json(value, 100) == text


@pytest.mark.parametrize(
    ("value", "text", "found"),
    [
        ({"Who": "Ana"}, "ana", True),
        ({"Who": "Ana"}, "who", True),
        ({"Who": "Ana"}, "Who: Ana", False),
        ({"a": [{"b": "Straße"}, 5, None]}, "STRASSE", True),
        ({"a": [{"b": "x"}, 51, True]}, "51", True),
        ({"password": "hunter2"}, "password", True),
        ({"password": "hunter2"}, "h", False),
        ({"a": [{"apiKey": {"deep": "hunter2"}}]}, "hunter", False),
        ({"apiKey": {"deep": "hunter2"}}, "deep", False),
        ({"password": "hunter2", "Who": "hunter2"}, "hunter2", True),
        ("plain", "LAI", True),
        ({}, "x", False),
    ],
)
def test_a_text_is_found_in_what_is_shown_and_not_in_what_is_masked(value: Any, text: str, found: bool) -> None:
    assert visible_text_contains(value, text) is found
