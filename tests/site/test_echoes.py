"""A secret that turns up again is masked, in every form that programs write it in."""

import base64
import json
import shlex
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from flyte_site.core.redaction.keys import MASK
from flyte_site.core.redaction.values import redact_values

pytestmark = pytest.mark.unit

SECRETS = ["correct horse/battery+ä", 'it\'s "quoted"\\', "plain12", "a\nlong\nkey of several lines\n"]


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
def test_a_secret_is_masked_however_it_is_written(secret: str, write: Any) -> None:
    written = write(secret.strip())
    found = redact_values({"out": [f"before {written} after"], "n": 5}, [secret])
    assert MASK in found["out"][0]
    assert secret.strip() not in str(found)
    assert found["out"][0].startswith("before ")
    assert found["n"] == 5


def test_the_rest_stays_as_it_is() -> None:
    value = {"a": [1, 2.5, True, None, "text"], "b": {}}
    assert redact_values(value, ["secret-1"]) is value
    assert redact_values({"a": "x secret-1 y secret-1", "b": "text"}, ["secret-1"]) == {
        "a": f"x {MASK} y {MASK}",
        "b": "text",
    }


def test_keys_and_numbers_count_too() -> None:
    assert redact_values({"secret-1": 987654, "n": [987654.0, 12]}, ["secret-1", "987654"]) == {
        MASK: MASK,
        "n": [MASK, 12],
    }


def test_of_a_long_secret_each_long_line_is_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END KEY-----"
    assert redact_values("it says MIIEvQIBADANBgkqhkiG9w0\r\nshort", [key]) == f"it says {MASK}\r\nshort"


def test_a_secret_within_another_does_not_spoil_it() -> None:
    assert redact_values("Bearer token-1 and token-1", ["token-1", "Bearer token-1"]) == f"{MASK} and {MASK}"


@pytest.mark.parametrize(("value", "found"), [("1234", MASK), (" 1234\n", MASK), (1234, MASK), ("1234 5", "1234 5")])
def test_a_short_secret_is_masked_only_where_it_stands_alone(value: Any, found: Any) -> None:
    assert redact_values(value, ["1234", "", "  "]) == found


@pytest.mark.parametrize("value", [None, True, "", [], {}])
def test_nothing_is_made_of_nothing(value: Any) -> None:
    assert redact_values(value, ["secret-1"]) == value


def test_it_takes_a_bounded_time_for_a_large_value_and_many_secrets() -> None:
    value = {"lines": ["some text of a log, with nothing in it " * 5] * 5000}
    secrets = [f"secret number {number}" * 3 for number in range(1000)]
    began = time.process_time()
    assert redact_values(value, secrets) == value
    assert time.process_time() - began < 30
