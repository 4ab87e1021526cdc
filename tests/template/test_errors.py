"""Positions and suggestions of errors and warnings."""

import pytest

from flows.template import RenderContext, TemplateError, compile_template
from flows.template.compilation import MAX_WARNINGS
from flows.template.errors import MAX_EXCERPT_WIDTH, find_closest_name, format_excerpt, get_line_and_column
from tests.template.recorded import reader

pytestmark = pytest.mark.unit


def error_of(source: str) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        compile_template(source).render(RenderContext({"Event": {"Payload": {"s": "x"}}, "Context": {}}, reader({})))
    return caught.value


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("{{ 'a'|uper }}", 1, 8),
        ("one\ntwo {{ 1 + }}", 2, 12),
        ("{% if 1 %}\n{% fro %}{% endif %}", 2, 4),
        ("{% if 1 %}\nx", 1, 4),
        ("{{ 'a' }}\n{{ 'b", 2, 4),
        ("{{ 1 }}\n\n{{ 1 / 0 }}", 3, 6),
        ("{{ Event.Payload.s.x }}", 1, 20),
        ("{{ -Event.Payload.s }}", 1, 4),
        ("{{ datastore('x') }}", 1, 4),
        ("{{ 1 + randomInt(0) }}", 1, 8),
        ("{{ 'a'|match:'(' }}", 1, 14),
        ("{{ 1|add:2|pluralize:'a,b,c' }}", 1, 12),
        ("{% for x in 'ab' %}{{ x.y }}{% endfor %}", 1, 25),
        ("{% macro m() %}{{ 1 / 0 }}{% endmacro %}\n{{ m() }}", 1, 21),
        ("a\n{{ template('x {{ 1 / 0 }}', Context) }}", 2, 4),
        ("{# a\n #}", 1, 1),
        ("{{ é }}", 1, 4),
        ("é {{ $ }}", 1, 6),
    ],
)
def test_an_error_names_its_line_and_column(source: str, line: int, column: int) -> None:
    error = error_of(source)

    assert (error.line, error.column) == (line, column)
    excerpt, caret = error.excerpt.split("\n")
    assert excerpt == source.split("\n")[line - 1]
    assert caret == " " * (column - 1) + "^"


def test_an_error_prints_as_message_position_and_excerpt() -> None:
    error = error_of("{{ 'a'|uper }}")

    assert error.message == "unknown filter 'uper'"
    assert error.suggestion == "upper"
    assert error.path == ""
    assert str(error) == ("unknown filter 'uper' (did you mean 'upper'?) at line 1, column 8\n{{ 'a'|uper }}\n       ^")


def test_an_error_inside_template_includes_its_position_there() -> None:
    assert error_of("{{ template('ab {{ 1 / 0 }}', Context) }}").message == (
        "in template(): division by zero (line 1, column 9)"
    )


@pytest.mark.parametrize(
    ("source", "suggestion"),
    [
        ("{{ 'a'|Upper }}", "upper"),
        ("{{ 'a'|extractmatch:'b' }}", "extractMatch"),
        ("{{ 'a'|whatever }}", None),
        ("{% fro x in y %}{% endfor %}", "for"),
        ("{% iff x %}{% endif %}", "if"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(source: str, suggestion: str | None) -> None:
    assert error_of(source).suggestion == suggestion


@pytest.mark.parametrize(
    ("source", "warnings"),
    [
        ("{{ Event.Name }}{{ Context.a }}{{ datastore('x') }}", []),
        ("{{ Evnt.Payload }}", ["unknown variable 'Evnt' is always empty: did you mean 'Event'?"]),
        (
            "{{ datastor('x') }}",
            ["unknown variable 'datastor' is always empty: did you mean 'datastore'?"],
        ),
        ("{{ qqqq }}", ["unknown variable 'qqqq' is always empty"]),
        ("{% set a = 1 %}{% for b, c in 'x' %}{{ a }}{{ b }}{{ c }}{{ forloop.first }}{% endfor %}", []),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}{% with z=1 %}{{ z }}{% endwith %}", []),
        ("{% cycle 1 2 as c %}{{ c }}{% widthratio 1 2 3 as w %}{{ w }}", []),
        ("{{ 1 and 2 or 3 }}", ["'and' and 'or' are mixed without parentheses; they group to the right"]),
        ("{{ 1 || 2 && 3 || 4 }}", ["'||' and '&&' are mixed without parentheses; they group to the right"]),
        ("{{ (1 and 2) or 3 }}{{ 1 and 2 && 3 }}", []),
    ],
)
def test_a_probable_mistake_gives_a_warning(source: str, warnings: list[str]) -> None:
    assert [warning.message for warning in compile_template(source).warnings] == warnings


KEY = "a dash is a minus here: for a key with a dash, write "


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ Event.Payload.tags[0] }}", "unexpected character '[': write Event.Payload.tags.0"),
        ("{{ x[ -2 ] }}", "unexpected character '[': write x|index:-2"),
        ("{{ x['a'] }}", "unexpected character '[': write x.a"),
        ('{{ Event.Payload["a-b"] }}', "unexpected character '[': write Event.Payload|key:'a-b'"),
        ("{{ x['a b'].c }}", "unexpected character '[': write (x|key:'a b')"),
        ('{{ x["it\'s"] }}', "unexpected character '[': write x|key:\"it's\""),
        ("{{ x[i] }}", "unexpected character '[': write x|index:i for a list, and x|key:i for a map"),
        ("{{ x[1:] }}", "unexpected character '[': write x.0 for an item, and x|slice:'1:3' for a part"),
        (
            "{{ 'a' in ['a'] }}",
            "unexpected character '[': a list is written as text that is split, as in 'a,b'|split:','",
        ),
        (
            "{{ 'yes' if Event.Payload.ok else 'no' }}",
            "'}}' expected, not 'if': write {% if Event.Payload.ok %}{{ 'yes' }}{% else %}{{ 'no' }}{% endif %}",
        ),
        ("{{ 1 if 2 }}", "'}}' expected, not 'if': write {% if condition %}a{% else %}b{% endif %}"),
        ("{% set a = 1 if 2 else 3 %}", "'%}' expected, not 'if': write {% if condition %}a{% else %}b{% endif %}"),
        ("{{ a ? b : c }}", "unexpected character '?': write {% if condition %}a{% else %}b{% endif %}"),
        ("{{ 'a' ~ 'b' }}", "unexpected character '~': join text with +"),
        ("{{ x|default('x') }}", "a filter takes its argument after a colon: write default:'x'"),
        ("{{ x|default(Event.Name) }}", "a filter takes its argument after a colon: write default:argument"),
        ("{% filter cut('a') %}{% endfilter %}", "a filter takes its argument after a colon: write cut:'a'"),
        ("{{ Event.Payload.gerät }}", "unexpected character 'ä': write Event.Payload|key:'gerät'"),
        ("{{ Context.Größe|upper }}", "unexpected character 'ö': write Context|key:'Größe'"),
        ("{% if Event.Payload.gerät.name %}{% endif %}", "unexpected character 'ä': write (Event.Payload|key:'gerät')"),
        ("{{ é }}", "unexpected character 'é': a name consists of the letters a to z, digits and _"),
    ],
)  # fmt: skip
def test_a_spelling_of_another_language_gets_the_one_of_this_language(source: str, message: str) -> None:
    assert error_of(source).message == message


@pytest.mark.parametrize(
    ("source", "warnings"),
    [
        ("{{ Event.Payload.issue-key }}", [KEY + "Event.Payload|key:'issue-key'"]),
        ("{{ 'a' + Event.Payload.issue-key.name }}", [KEY + "(Event.Payload|key:'issue-key')"]),
        ("{{ Context.a-b == Context.a-b }}", [KEY + "Context|key:'a-b'"]),
        (
            "{{ Event.Payload.one-two-three }}",
            [KEY + "Event.Payload|key:'one-two'", KEY + "Event.Payload|key:'one-two-three'"],
        ),
        ("{{ Event.Payload.item-1 }}{{ Event.Payload.a -1 }}", []),
        ("{{ Event.Payload.a - q }}", ["unknown variable 'q' is always empty"]),
        ("{% set key = 1 %}{{ Event.Payload.issue-key }}", []),
        (
            "{{ default('x') }}",
            ["unknown variable 'default' is always empty: 'default' is a filter, write value|default"],
        ),
    ],
)  # fmt: skip
def test_a_key_with_a_dash_and_a_filter_as_a_function_get_the_right_spelling(source: str, warnings: list[str]) -> None:
    assert [warning.message for warning in compile_template(source).warnings] == warnings


def test_there_is_one_warning_per_name_and_a_maximum() -> None:
    assert len(compile_template("{{ a }}" * 1000).warnings) == 1
    assert len(compile_template("".join(f"{{{{ a{number} }}}}" for number in range(500))).warnings) == MAX_WARNINGS


def test_a_warning_names_its_line_and_column() -> None:
    (warning,) = compile_template("a\n {{ Evnt.x }}").warnings

    assert (warning.line, warning.column, warning.path) == (2, 5, "")
    assert str(warning).endswith("at line 2, column 5")


@pytest.mark.parametrize(("offset", "position"), [(0, (1, 1)), (2, (1, 3)), (3, (2, 1)), (4, (2, 2)), (99, (2, 3))])
def test_an_offset_converts_to_line_and_column(offset: int, position: tuple[int, int]) -> None:
    assert get_line_and_column("ab\ncd", offset) == position


def test_the_excerpt_of_a_long_line_is_cut() -> None:
    line, caret = format_excerpt("x" * 5000 + "!" + "y" * 5000, 5000).split("\n")

    assert len(line) == MAX_EXCERPT_WIDTH
    assert line[len(caret) - 1] == "!"


def test_a_name_without_similar_names_gets_no_suggestion() -> None:
    assert find_closest_name("zzz", ["upper", "lower"]) is None
    assert find_closest_name("u" * 10_000, ["upper"]) is None
