"""Grouping of expressions, and results of operators."""

import pytest

from tests.template.recorded import ERROR, resolve

pytestmark = pytest.mark.unit

VARIABLES = {
    "Event": {
        "Name": "N",
        "Payload": {"i": 5, "f": 1.5, "l": [1, 2], "m": {"k": 1}, "t": True, "s": "text", "n": None},
    },
    "Context": {"A": "a"},
}


def value(expression: str) -> object:
    return resolve(f"{{{{ {expression} }}}}", VARIABLES, {})


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("10 - 2 - 3", "5"),
        ("2 ^ 3 ^ 2", "512"),
        ("100 / 5 / 2", "10"),
        ("7 % 4 * 2", "6"),
        ("-2 ^ 2", "-4"),
        ("-2 * 3 + 1", "-5"),
        ("+5 - 3", "2"),
        ("-(-2)", "2"),
        ("!1 + 1", "1"),
        ("1 == 1 == 1", "False"),
        ("3 > 2 > 1", "True"),
        ("1 < 2 < 3", "False"),
        ("1 + 1 == 2 and 2 * 2 == 4", "True"),
        ("not false and false", "False"),
        ("not (false and false)", "True"),
        ("not not 1", "True"),
        ("1 == not true", "False"),
        ("not 1 in Event.Payload.l", "False"),
        ("not 9 in Event.Payload.l == true", ERROR),
        ("!Event.Payload.l|length == 2", "False"),
        ("true or false and false", "True"),
        ("false and false or true", "False"),
        ("false and true or true", "False"),
        ("(false and true) or true", "True"),
        ("true && (false || true)", "True"),
        ("false and missing.x.y", "False"),
        ("true or Event.Name.x", "True"),
        ("false or Event.Name.x", ERROR),
        ("'a'|add:'b'|upper + 'c'", "ABc"),
        ("1 + 2|add:3", "6"),
        ("(1 + 2)|add:3", "6"),
        ("1|add:(2 * 3)", "7"),
        ("1|add:-2", "-1"),
        ("1|add:+2", "3"),
        ("'a'|add:Event.Payload.m.k", "a1"),
        ("(Event.Payload.l).1", "2"),
        ("(Event.Payload).m.k", "1"),
        ("Event.Payload.s.1", "e"),
        ("Event.Payload.s.99", ""),
        ("Event . Payload . i", "5"),
        ("none.x", ""),
        ("missing.x()", ""),
        ("missing('a')", ""),
        ("base64Encode('a',)", "YQ"),
        ("unmarshalJson('{\"a\": [1]}').a.0", "1"),
        ("2abc", ""),
    ],
)
def test_operators_group_as_documented(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("5 == 5.0", "True"),
        ("true == 1", "False"),
        ("false == 0", "False"),
        ("true == true", "True"),
        ("'5' == 5", "False"),
        ("none == ''", "False"),
        ("none == false", "False"),
        ("Event.Payload.n == missing", "True"),
        ("Event.Payload.l == Event.Payload.l", "True"),
        ("unmarshalJson('{\"a\":[1]}') == unmarshalJson('{\"a\":[1.0]}')", "True"),
        ("unmarshalJson('{\"a\":[1]}') == unmarshalJson('{\"a\":[true]}')", "False"),
        ("unmarshalJson('{\"a\":1}') == unmarshalJson('{\"b\":1}')", "False"),
        ("Event.Payload.l != Event.Payload.m", "True"),
        ("1 in Event.Payload.l", "True"),
        ("true in Event.Payload.l", "False"),
        ("'k' in Event.Payload.m", "True"),
        ("1 in Event.Payload.m", ERROR),
        ("1.5 in Event.Payload.m", "False"),
        ("1 in 'a1'", "True"),
        ("none in 'a'", "True"),
        ("'a' in 5", "False"),
        ("'Name' in Event", "True"),
        ("'a' not in 'b'", "True"),
    ],
)
def test_equality_and_containment_compare_value_and_type(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("'2' < '10'", "True"),
        ("'2' < 'a'", "True"),
        ("'b' > 'a'", "True"),
        ("'' < 1", ERROR),
        ("none < 1", "True"),
        ("true > false", "False"),
        ("'1.5' + 1", "2.5"),
        ("'1' + '2'", "3"),
        ("'1' + ' 2'", "1 2"),
        ("'1e3' + 0", "1000.0"),
        ("'a' + none", "a"),
        ("'a' + true", "aTrue"),
        ("true + 1", "1"),
        ("none + 1", "1"),
        ("'a' - 1", ERROR),
        ("'3' * '4'", "12"),
        ("Event.Payload.l + 1", ERROR),
        ("6 / 3", "2"),
        ("6.0 / 3", "2.0"),
        ("1 / 3", "0.3333333333333333"),
        ("-7 % 3", "-1"),
        ("7.9 % 3", "1"),
        ("2 ^ -1", ERROR),
        ("2 ^ (0 - 1)", "0.5"),
        ("0 ^ (0 - 1)", ERROR),
        ("(0 - 8) ^ 0.5", ERROR),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("10 ^ 20 / 10 ^ 19", "10"),
    ],
)
def test_numbers_keep_their_type_and_numeric_text_counts_as_a_number(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "", "1 2", "1 +", "* 1", "2 * -3", "--1", "!!1", "a b", "1.", "1.2.3", "'a'.b", "true.x", "5.x", "a.", "a..b",
        "a.in", "a.'b'", "f(", "f(1", "f(,)", "f(1 2)", "f(1)(2)", "(1)(2)", "()", "(1", "1)", "a|", "a|1", "a|'x'",
        "a|upper()", "a|default:", "a|default:1:2", "a|nosuch", "a|add:1 + ", "true | false", "a not b", "in", "and",
        "as", "a in b in c", "[1]", "a['b']", "a if b else c", "x = 1", "1,2", "$a", "a;b", "a == ", "not", "a and",
    ],
)  # fmt: skip
def test_an_invalid_expression_is_an_error(expression: str) -> None:
    assert value(expression) == ERROR
