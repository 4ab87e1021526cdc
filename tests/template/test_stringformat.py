"""The filter stringformat, compared with Go's fmt.Sprintf."""

import pytest

from flows.template.errors import OperationError
from flows.template.filters.go_format import format_value

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("layout", "value", "text"),
    [
        ("%s", "a", "a"),
        ("[%5s]", "ab", "[   ab]"),
        ("[%-5s]", "ab", "[ab   ]"),
        ("%.2s", "abc", "ab"),
        ("%q", 'a"b', '"a\\"b"'),
        ("%x", "hi", "6869"),
        ("%d", 5, "5"),
        ("%05d", -42, "-0042"),
        ("%+d", 5, "+5"),
        ("% d", 5, " 5"),
        ("%x %%", 255, "ff %"),
        ("%#X", 255, "0XFF"),
        ("%o", 8, "10"),
        ("%b", 5, "101"),
        ("%c", 233, "é"),
        ("%f", 1.5, "1.500000"),
        ("%.1f", 1.25, "1.2"),
        ("%8.2f", 3.14159, "    3.14"),
        ("%e", 1234.5, "1.234500e+03"),
        ("%g", 0.5, "0.5"),
        ("%t", True, "true"),
        ("%v", True, "true"),
        ("%v", None, "<nil>"),
        ("%v", 1.0, "1"),
        ("%v", 1e6, "1e+06"),
        ("%v", 123456.0, "123456"),
        ("%v", 1e-5, "1e-05"),
        ("%v", 0.0001, "0.0001"),
        ("%v", [1, "two", 3.5, None, True], "[1 two 3.5 <nil> true]"),
        ("%v", {"b": 1, "a": {"d": "x"}}, "map[a:map[d:x] b:1]"),
        ("%T", 1.5, "float64"),
        ("%03d", "7\n", "007"),
        ("%d", "4.5", "%!d(float64=4.5)"),
        ("%d", "5.0\n", "5"),
        ("%x", 255.0, "ff"),
        ("%c", "233", "é"),
        ("%b", "5", "101"),
        ("%s", ["a", 5], "[a %!s(int=5)]"),
        ("%.1f", " 95\n", "95.0"),
        ("%e", "1234.5", "1.234500e+03"),
        ("%s", "7\n", "7\n"),
        ("%x", "7", "37"),
        ("%d", 1.5, "%!d(float64=1.5)"),
        ("%s", 5, "%!s(int=5)"),
        ("%z", 5, "%!z(int=5)"),
        ("%s", None, "%!s(<nil>)"),
        ("x", 5, "x%!(EXTRA int=5)"),
        ("%d %d", 5, "5 %!d(MISSING)"),
        ("100%", 5, "100%!(NOVERB)%!(EXTRA int=5)"),
        ("%f", 10, "10.000000"),
    ],
)
def test_a_value_is_formatted_as_in_go(layout: str, value: object, text: str) -> None:
    assert format_value(layout, value, 1000) == text


@pytest.mark.parametrize("verb", "bcdoeEfFgG")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n/a", "'n/a' is not a number"),
        (" \n", "an empty string is not a number"),
        ("95%", "'95%' is not a number: remove the unit, as in |cut:'%'"),
        ("\uff11\uff12", "'\uff11\uff12' is not a number: only the digits 0 to 9 are read"),
        ("1e999", "'1e999' is too large for a number"),
    ],
)
def test_text_that_is_not_a_number_is_an_error_with_a_verb_for_numbers(verb: str, text: str, message: str) -> None:
    with pytest.raises(OperationError) as error:
        format_value(f"%5{verb}", text, 1000)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("layout", "value", "warning"),
    [
        ("%d", 1.5, "stringformat cannot format 1.5 with %d, and prints %!d(…): use %.0f, or |integer before it"),
        ("%d", " 1.5", "stringformat cannot format 1.5 with %d, and prints %!d(…): use %.0f, or |integer before it"),
        ("%f", None, "stringformat cannot format none with %f, and prints %!f(…): use %v"),
        ("%c", True, "stringformat cannot format a boolean with %c, and prints %!c(…): use %v"),
        ("%e", {"a": 1}, "stringformat cannot format a map with %e, and prints %!e(…): use %v"),
        ("%t", "true", "stringformat cannot format a string with %t, and prints %!t(…): use %v"),
        ("%s", 5, "stringformat cannot format 5 with %s, and prints %!s(…): use %v"),
        ("%s", ["a", 5], "stringformat cannot format a list with %s, and prints %!s(…): use %v"),
        ("%z", 5, "stringformat cannot format 5 with %z, and prints %!z(…): unknown verb"),
        ("%x", "255", "%x formats the characters of the string '255': add |integer for the number"),
        ("%d/%d", 5, "stringformat has one value for several verbs, and prints %!d(MISSING)"),
        ("%d%", 5, "stringformat has a % without a verb, and prints %!(NOVERB): write %% for a percent sign"),
        ("5", 5, "stringformat has no verb for its value, such as %s or %d, and prints %!(EXTRA …)"),
    ],
)
def test_a_value_that_does_not_fit_the_layout_is_a_warning(layout: str, value: object, warning: str) -> None:
    warnings: list[str] = []
    assert "%!" in format_value(layout, value, 1000, warnings.append) or layout == "%x"
    assert warnings == [warning]


@pytest.mark.parametrize(("layout", "value"), [("%5.1f", "42\n"), ("%d%%", 5), ("%x", "hi"), ("%v", "n/a"), ("%q", "")])
def test_a_value_that_fits_the_layout_is_no_warning(layout: str, value: object) -> None:
    warnings: list[str] = []
    format_value(layout, value, 1000, warnings.append)
    assert warnings == []


@pytest.mark.parametrize("layout", ["%1001d", "%99999999999999999999d", "%.1001f", "x%999d"])
def test_too_long_output_is_an_error(layout: str) -> None:
    with pytest.raises(OperationError):
        format_value(layout * 2, 5, 1000)
