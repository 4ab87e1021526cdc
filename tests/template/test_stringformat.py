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
        ("%d", "a", "%!d(string=a)"),
        ("%03d", "7\n", "007"),
        ("%d", "4.5", "%!d(string=4.5)"),
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


@pytest.mark.parametrize("layout", ["%1001d", "%99999999999999999999d", "%.1001f", "x%999d"])
def test_too_long_output_is_an_error(layout: str) -> None:
    with pytest.raises(OperationError):
        format_value(layout * 2, 5, 1000)
