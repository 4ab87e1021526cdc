"""Redaction of JSON values: by the names of keys, and by known secrets in all encodings."""

import base64
import json
import shlex
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.test import override_settings

from flyte_site.core.secrets.redaction import (
    MASK,
    is_secret_key,
    preview_json,
    redact_keys,
    redact_values,
    visible_text_contains,
)

pytestmark = pytest.mark.unit

SECRETS = ["correct horse/battery+ä", 'it\'s "quoted"\\', "plain12", "a\nlong\nkey of several lines\n"]


@pytest.mark.parametrize(
    "key", ["password", "Password", "db_password", "X-API-Key", "apikey", "apiKey", "private key", "AccessToken", "pwd"]
)
def test_secret_keys_are_recognized_in_any_spelling(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["message", "pass", "key", "author", "", "ключ"])
def test_other_keys_are_not_secret(key: str) -> None:
    assert not is_secret_key(key)


def test_only_values_under_secret_keys_are_masked_at_any_depth() -> None:
    value = {"a": [{"token": "x", "n": 1}], "secret": {"b": 2}, "password": None, "text": "password"}
    assert redact_keys(value) == {"a": [{"token": MASK, "n": 1}], "secret": MASK, "password": None, "text": "password"}
    assert value["a"] == [{"token": "x", "n": 1}], "the original is not changed"


@pytest.mark.parametrize(("setting", "secret"), [("pin", True), (" Pin , x", True), ("-", False), (",", False)])
def test_the_setting_determines_the_masked_keys(setting: str, secret: bool) -> None:
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
def test_a_preview_is_the_start_of_the_json(value: Any, text: str) -> None:
    assert preview_json(value, 100) == text


@pytest.mark.parametrize(
    ("value", "text", "expected"),
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
def test_a_search_covers_visible_text_only(value: Any, text: str, expected: bool) -> None:
    assert visible_text_contains(value, text) is expected


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: quote(text, safe=""),
        quote,
        quote_plus,
        shlex.quote,
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(b"user:" + text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(b"ab" + text.encode() + b"tail").decode(),
        lambda text: text.encode().hex(),
        lambda text: text.encode().hex().upper(),
    ],
)
def test_a_secret_is_masked_in_every_encoding(secret: str, write: Any) -> None:
    encoded = write(secret.strip())
    redacted = redact_values({"out": [f"before {encoded} after"], "n": 5}, [secret])
    assert MASK in redacted["out"][0]
    assert secret.strip() not in str(redacted)
    assert redacted["out"][0].startswith("before ")
    assert redacted["n"] == 5


def test_other_values_are_unchanged() -> None:
    value = {"a": [1, 2.5, True, None, "text"], "b": {}}
    assert redact_values(value, ["secret-1"]) is value
    assert redact_values({"a": "x secret-1 y secret-1", "b": "text"}, ["secret-1"]) == {
        "a": f"x {MASK} y {MASK}",
        "b": "text",
    }


def test_keys_and_numbers_are_masked() -> None:
    assert redact_values({"secret-1": 987654, "n": [987654.0, 12]}, ["secret-1", "987654"]) == {
        MASK: MASK,
        "n": [MASK, 12],
    }


def test_long_lines_of_a_secret_are_masked_separately() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END KEY-----"
    assert redact_values("it says MIIEvQIBADANBgkqhkiG9w0\r\nshort", [key]) == f"it says {MASK}\r\nshort"


def test_a_secret_that_contains_another_is_masked_completely() -> None:
    assert redact_values("Bearer token-1 and token-1", ["token-1", "Bearer token-1"]) == f"{MASK} and {MASK}"


@pytest.mark.parametrize(("value", "expected"), [("1234", MASK), (" 1234\n", MASK), (1234, MASK), ("1234 5", "1234 5")])
def test_a_short_secret_is_masked_only_as_a_whole_text(value: Any, expected: Any) -> None:
    assert redact_values(value, ["1234", "", "  "]) == expected


@pytest.mark.parametrize("value", [None, True, "", [], {}])
def test_empty_values_are_unchanged(value: Any) -> None:
    assert redact_values(value, ["secret-1"]) == value


def test_a_large_value_and_many_secrets_take_bounded_time() -> None:
    value = {"lines": ["some text of a log, with nothing in it " * 5] * 5000}
    secrets = [f"secret number {number}" * 3 for number in range(1000)]
    began = time.process_time()
    assert redact_values(value, secrets) == value
    assert time.process_time() - began < 30
