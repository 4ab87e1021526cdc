"""Filters for text: replace, trim, lines, words."""

from typing import Any

import pytest

from flows.template import RenderLimits
from tests.template.rendering import ERROR, render

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("expression", "value", "output"),
    [
        ("x|replace:'a':'b'", "banana", "bbnbnb"),
        ("x|replace:'an':''", "banana", "ba"),
        ("x|replace:'.':'\\n'", "a.b", "a\nb"),
        ("x|replace:'\\n':' '", "a\nb\n", "a b "),
        ("x|replace:'(a)':'\\\\1'", "(a)", "\\1"),
        ("x|replace:'🚀':'é'", "a🚀", "aé"),
        ("x|replace:5:6", 555, "666"),
        ("x|replace:-1:-2", "x-1", "x-2"),
        ("x|replace:Event.Payload.x:'y'", "abc", "y"),
        ("x|replace:('a' + 'b'):('c' + 'd')|upper", "ab", "CD"),
        ("x|replace:'a':none", "banana", "bnn"),
        ("x|replace:'a':'b'", None, ""),
        ("x|trim", " \t\u00a0a b\r\n", "a b"),
        ("x|trim:'\"'", '"a" ', 'a" '),
        ("x|trim:'/ '", "/ a/b / ", "a/b"),
        ("x|trim", 5, "5"),
        ("x|trim", None, ""),
        ("x|trim|length", "   ", "0"),
        ("x|lines", "a\r\nb\rc\n\nd\n", '["a","b","c","","d"]'),
        ("x|lines", "", "[]"),
        ("x|lines", "\n", '[""]'),
        ("x|lines", "a\u2028b\x0bc", '["a\u2028b\\u000bc"]'),
        ("x|lines|length", "1\n2\n3", "3"),
        ("x|words", " a \n b\tc ", '["a","b","c"]'),
        ("x|words", "", "[]"),
        ("x|words|join:','", "a  b", "a,b"),
    ],
)
def test_text_is_changed(expression: str, value: Any, output: str) -> None:
    assert render(f"{{{{ Event.Payload.{expression} }}}}", x=value) == output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ 'a'|replace }}", "filter 'replace' takes two arguments: replace:'old':'new'"),
        ("{{ 'a'|replace:'b' }}", "filter 'replace' takes two arguments: replace:'old':'new'"),
        ("{{ 'a'|replace:'b': }}", "expected a value, found '}}'"),
        ("{{ 'a'|replace:'b':'c':'d' }}", "expected '}}', found ':'"),
        ("{{ 'a'|replace:'':'b' }}", "replace needs the text to search for: replace:'old':'new'"),
        ("{{ 'a'|replace:none:'b' }}", "replace needs the text to search for: replace:'old':'new'"),
        ("{{ 'a'|cut:'b':'c' }}", "expected '}}', found ':'"),
    ],
)
def test_wrong_arguments_are_errors(source: str, message: str) -> None:
    assert render(source) == ERROR + message


def test_a_result_that_would_be_too_long_is_refused_before_it_is_made() -> None:
    limits = RenderLimits(text_length=1000)
    source = "{{ Event.Payload.x|replace:'a':Event.Payload.x }}"

    assert render(source, limits=limits, x="a" * 32) == ERROR + "text is too long (more than 1,000 characters)"
    assert len(render(source, limits=limits, x="a" * 31)) == 961


def test_filters_with_two_arguments_work_in_the_tag_filter() -> None:
    assert render("{% filter replace:'a':'b'|upper %}banana{% endfilter %}") == "BBNBNB"
