"""Tokens of a source."""

import pytest

from flows.template.errors import LocatedError
from flows.template.lexer import find_comment_end, find_opening_delimiter, tokenize_code

pytestmark = pytest.mark.unit


def values(code: str) -> list[tuple[str, str]]:
    return [(token.kind, token.value) for token in tokenize_code(code, 0).tokens[:-1]]


@pytest.mark.parametrize(
    ("code", "tokens"),
    [
        ("a.b-c }}", [("name", "a"), ("symbol", "."), ("name", "b"), ("symbol", "-"), ("name", "c")]),
        ("5.25 }}", [("number", "5"), ("symbol", "."), ("number", "25")]),
        ("2nd 0x1 }}", [("name", "2nd"), ("name", "0x1")]),
        (
            "a&&b||!c }}",
            [("name", "a"), ("symbol", "&&"), ("name", "b"), ("symbol", "||"), ("symbol", "!"), ("name", "c")],
        ),
        ("a<>b<=c }}", [("name", "a"), ("symbol", "<>"), ("name", "b"), ("symbol", "<="), ("name", "c")]),
        (
            "in inside not notes true as }}",
            [
                ("keyword", "in"),
                ("name", "inside"),
                ("keyword", "not"),
                ("name", "notes"),
                ("keyword", "true"),
                ("keyword", "as"),
            ],
        ),
        ("True none }}", [("name", "True"), ("name", "none")]),
        ("\t a\r}}", [("name", "a")]),
    ],
)
def test_code_is_split_into_tokens(code: str, tokens: list[tuple[str, str]]) -> None:
    assert values(code) == tokens


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'a\"b'", 'a"b'),
        ('"a\'b"', "a'b"),
        (r"'a\'b'", "a'b"),
        (r'"a\"b"', 'a"b'),
        (r"'a\\b'", r"a\b"),
        (r"'a\\'", "a\\"),
        (r"'\d\\d\n'", r"\d\d\n"),
        ("'}} %} {{'", "}} %} {{"),
        ("'é☃'", "é☃"),
        ("''", ""),
    ],
)
def test_a_text_literal_is_unescaped(literal: str, value: str) -> None:
    assert values(literal + " }}") == [("string", value)]


@pytest.mark.parametrize(
    ("code", "closing", "end"), [("a }} b", "}}", 4), ("a -}} b", "-}}", 5), ("a %}", "%}", 4), ("a-%}", "-%}", 4)]
)
def test_code_ends_at_its_closing_delimiter(code: str, closing: str, end: int) -> None:
    read = tokenize_code(code, 0)

    assert (read.closing_delimiter, read.end) == (closing, end)


@pytest.mark.parametrize(
    ("code", "message", "offset"),
    [
        ("a", "unexpected end of the template", 1),
        ("a $ }}", "unexpected character '$'", 2),
        ("é }}", "unexpected character 'é'", 0),
        ("a\n}}", "a line break is not allowed", 1),
        ("'a }}", "string is not closed", 0),
        ("'a\nb' }}", "string is not closed", 0),
        ("'a\\", "string is not closed", 0),
        ("[1] }}", "unexpected character '['", 0),
        ("a } }", "unexpected character '}'", 2),
    ],
)
def test_an_invalid_token_is_an_error_with_its_offset(code: str, message: str, offset: int) -> None:
    with pytest.raises(LocatedError) as caught:
        tokenize_code(code, 0)

    assert message in caught.value.message
    assert caught.value.offset == offset


def test_opening_delimiters_are_found_in_order() -> None:
    source = "a { b {# c #} {%- d {{ e"

    assert find_opening_delimiter(source, 0) == ("{#", 6)
    assert find_opening_delimiter(source, 8) == ("{%-", 14)
    assert find_opening_delimiter(source, 17) == ("{{", 20)
    assert find_opening_delimiter(source, 22) == ("", len(source))


@pytest.mark.parametrize("source", ["{# a", "{# a\n #}"])
def test_a_comment_must_end_on_its_line(source: str) -> None:
    with pytest.raises(LocatedError):
        find_comment_end(source, 0)
