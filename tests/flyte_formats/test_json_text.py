"""JSON from other systems, with numbers that JSON can't hold."""

from typing import Any

import pytest

from flyte_formats.json_text import MAX_DEPTH, NestingError, parse_json, parse_lenient_json

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('\ufeff{"a": 1}', {"a": 1}),
        ("[1.5, 1e3, -0.0, 123456789012345678901234567890]", [1.5, 1000.0, -0.0, 123456789012345678901234567890]),
        ('"\\ud83d\\ude00"', "😀"),
        ("null", None),
    ],
)
def test_json_is_parsed_also_with_a_byte_order_mark(text: str, value: Any) -> None:
    assert parse_json(text) == value
    assert parse_lenient_json(text) == value


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_a_number_that_json_cannot_hold_is_refused_or_null(number: str) -> None:
    with pytest.raises(ValueError, match=f"^{number} is not a number that JSON can hold"):
        parse_json(f'{{"a": [{number}]}}')
    assert parse_lenient_json(f'{{"a": [{number}, 1]}}') == {"a": [None, 1]}


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "nan", "[1,]"])
def test_invalid_json_is_refused(text: str) -> None:
    for parse in (parse_json, parse_lenient_json):
        with pytest.raises(ValueError, match=r"line 1 column"):
            parse(text)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_that_is_nested_too_deeply_is_refused_with_the_limit(opening: str, closing: str) -> None:
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(NestingError, match=r"^nested deeper than 100 levels$"):
            parse_json(opening * depth + "0" + closing * depth)
    allowed = opening * MAX_DEPTH + "0" + closing * MAX_DEPTH
    assert parse_json(allowed) == parse_lenient_json(allowed)
    assert parse_json("[" + ",".join(["[]"] * 500) + "]") == [[]] * 500


def test_lenient_json_can_be_as_deep_as_python_allows() -> None:
    assert str(parse_lenient_json("[" * 200 + "]" * 200)).count("[") == 200
    with pytest.raises(NestingError):
        parse_lenient_json("[" * 100_000)
