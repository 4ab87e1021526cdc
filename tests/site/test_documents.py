"""Parsing of JSON and YAML: values, errors, and limits against malicious documents."""

from itertools import pairwise
from typing import Any

import pytest

from flyte_formats.json_text import MAX_DEPTH
from flyte_site.http.input.parsing import STRING, DocumentError, decode_text, parse_json, parse_yaml

pytestmark = pytest.mark.unit

LONG = "x" * 500_000
LAYERS = "bcdefghij"


def parse_error(parse: Any, text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("5", 5),
        ("1.5", 1.5),
        ("1.0", 1),
        ("-3.0", -3),
        ("0.0", 0),
        ("-0.0", -0.0),
        ("1e3", 1000),
        ("1e20", 10**20),
        ("1.2345678901234567e19", 12345678901234567000),
        ("12345678901234567890", 12345678901234567890),
        ("1e21", 1e21),
        ("1e-7", 1e-7),
        ("9" * 4300, int("9" * 4300)),
        ('{"a":1,"a":2}', {"a": 2}),
        ('"\\u0000"', "\0"),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\ud800"', "\ufffd"),
        ('{"\\uDC00": ["\\udfff!"]}', {"\ufffd": ["\ufffd!"]}),
        ('"\\\\ud800"', "\\ud800"),
    ],
)
def test_json_is_parsed(text: str, value: Any) -> None:
    parsed = parse_json(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", ["", " ", "{", "{} x", "{'a': 1}", "[1,]", "nul", '"\x00"', '"\n"'])
def test_invalid_json_is_reported_with_line_and_column(text: str) -> None:
    error = parse_error(parse_json, text)
    assert error.line >= 1
    assert error.column >= 1
    assert error.message.startswith("invalid JSON: ")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "-Infinity", "1e999", "-1e999", "9" * 4301, f"[-{'9' * 10000}]"])
def test_numbers_that_cannot_be_represented_are_refused(text: str) -> None:
    message = parse_error(parse_json, text).message
    assert len(message) < 100
    assert "sys." not in message


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_nesting_is_bounded(parse: Any) -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for deep in ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[" * 200_000, '{"a":' * 50_000):
        assert "nested deeper" in parse_error(parse, deep).message


@pytest.mark.parametrize("text", ["- " * 100_000, "? " * 100_000, "a: {" * 50_000])
def test_nesting_in_yaml_is_bounded_however_it_is_written(text: str) -> None:
    assert parse_error(parse_yaml, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("---", None),
        ("# nothing", None),
        ("a: 1\na: 2", {"a": 2}),
        ("a: yes", {"a": True}),
        ("a: 010", {"a": 8}),
        ("a: 0x1F", {"a": 31}),
        ("a: 1_000", {"a": 1000}),
        ("a: 1.5", {"a": 1.5}),
        ("a: !!int '5'", {"a": 5}),
        ("a: !!str 5", {"a": "5"}),
        ("a: 22:30", {"a": "22:30"}),
        ("a: 190:20:30.15", {"a": "190:20:30.15"}),
        ("a: 2020-01-01", {"a": "2020-01-01"}),
        ("a: 2020-01-01T00:00:00Z", {"a": "2020-01-01T00:00:00Z"}),
        ("a: =", {"a": "="}),
        ('a: "\\0"', {"a": "\0"}),
        ("n: 1\nyes: 2\n010: 3\nnull: 4\n~: 5\n1.50: 6\n=: 7", {"n": 1, "yes": 2, "010": 3, "null": 4, "~": 5}
         | {"1.50": 6, "=": 7}),
        ("b: &b {x: 1, y: 1}\nc: {<<: *b, x: 2}", {"b": {"x": 1, "y": 1}, "c": {"x": 2, "y": 1}}),
        ("<<: [{a: 1}, {a: 2, b: 2}]\nb: 3", {"a": 1, "b": 3}),
        ("a: &a [1]\nb: [*a, *a]", {"a": [1], "b": [[1], [1]]}),
    ],
)  # fmt: skip
def test_yaml_is_parsed(text: str, value: Any) -> None:
    assert parse_yaml(text) == value


SHAPES = {"name": STRING, "labels": {"*": STRING}, "events": {"*": {"name": STRING}}}


def test_names_and_labels_keep_their_text() -> None:
    text = "Name: yes\nlabels: {a: 010, b: 1e3, c: off, d: 1.50}\nevents: [{name: no}, {name: 0x1}]\nother: yes"
    assert parse_yaml(text, SHAPES) == {
        "Name": "yes",
        "labels": {"a": "010", "b": "1e3", "c": "off", "d": "1.50"},
        "events": [{"name": "no"}, {"name": "0x1"}],
        "other": True,
    }


def test_a_null_stays_null_where_text_is_expected() -> None:
    assert parse_yaml("name: ~", SHAPES) == {"name": None}


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "\ta: 1",
        "a: *nowhere",
        "--- 1\n--- 2",
        "%YAML 2.0\n---\na: 1",
        "? [a]\n: 1",
        "{a: 1}: 2",
        "<<: 5",
        "<<: [5]",
        'a: "\\ud800"',
        "a: !!python/object/apply:os.system [id]",
        "a: !!python/object:os.system x",
        "a: !!python/name:os.system",
        "a: !!binary aGk=",
        "a: !mine 1",
        "a: !mine [1]",
        "a: !!map [1]",
        "a: !!set {b}",
        "a: !!int x",
        "a: !!int ''",
        "a: !!int 0b2",
        "a: !!float ''",
        "a: !!float abc",
        "a: !!bool maybe",
        "a: !!bool ''",
        "a: 0b_",
        "a: .inf",
        "a: -.INF",
        "a: .nan",
        "a: 1.0e+400",
        "a: " + "9" * 5000,
        "a: 0x" + "f" * 4000,
    ],
)
def test_yaml_that_is_not_supported_is_refused_with_line_and_column(text: str) -> None:
    error = parse_error(parse_yaml, text)
    assert error.line >= 1
    assert error.column >= 1
    assert len(error.message) < 150


def test_control_characters_are_refused_in_yaml() -> None:
    assert parse_error(parse_yaml, "a: 'x\0y'").message.startswith("invalid YAML: ")


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("a" + LAYERS)),
        "a0: &a0 {k: v}\n" + "".join(
            f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: v}}\n" for n in range(1, 12)),
        f"a: &a '{LONG}'\nb: [{', '.join(['*a'] * 100_000)}]",
        f"a: &a\n  ? '{LONG}'\n  : 1\nb: [{', '.join(['*a'] * 100_000)}]",
        f"a: &a {{{', '.join(f'k{n}: v' for n in range(20_000))}}}\nb: {{<<: [{', '.join(['*a'] * 20_000)}]}}",
        "a: &a [*a]",
        "&a {b: *a}",
        "&a {<<: *a}",
        "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200)),
    ],
    ids=["lists", "merges", "one long text", "one long key", "one wide merge", "in itself", "in itself, as a value",
         "merged into itself", "deep"],
)  # fmt: skip
def test_aliases_cannot_expand_to_much(text: str) -> None:
    assert "aliases expand to too much" in parse_error(parse_yaml, text).message


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        (b"\xc3\xa9", "utf-8", "é"),
        (b"\xc3\xa9", "UTF8", "é"),
        (b"\xe9", "iso-8859-1", "é"),
        (b"\x80", "windows-1252", "€"),
        ("é".encode("utf-16"), "utf-16", "é"),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本"),
        (b"a", "us-ascii", "a"),
    ],
)
def test_bytes_are_decoded_by_their_charset(data: bytes, charset: str, text: str) -> None:
    assert decode_text(data, charset) == text


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (b"\xff", "utf-8"),
        (b"\xed\xa0\x80", "utf-8"),
        (b"\xe9", "us-ascii"),
        (b"\x00\xd8", "utf-16-le"),
        (b"+2AA-", "utf-7"),
        (b"\\ud800", "unicode_escape"),
        (b"a" * 1_000_000, "punycode"),
        (b"a", "idna"),
        (b"a", "undefined"),
        (b"a", "rot13"),
        (b"a", "zlib"),
        (b"a", "klingon"),
        (b"a", ""),
        (b"a", "utf-8\0"),
        (b"a", "é"),
        (b"a", "x" * 10_000),
    ],
)
def test_invalid_bytes_and_unsupported_charsets_are_refused(data: bytes, charset: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode_text(data, charset)
    assert len(caught.value.message) < 100
