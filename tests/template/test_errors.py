"""Positions and suggestions of errors and warnings."""

import pytest

from flows.template import RenderContext, TemplateError, compile_template
from flows.template.compilation import MAX_WARNINGS
from flows.template.errors import MAX_EXCERPT_WIDTH, find_closest_name, format_excerpt, get_line_and_column
from tests.template.recorded import reader

pytestmark = pytest.mark.unit

KEY = "a dash is a minus here: for a key with a dash, write "


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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ Event.Payload.tags[0] }}", "unexpected character '[': write Event.Payload.tags.0"),
        ("{{ x[ -2 ] }}", "unexpected character '[': write x|index:-2"),
        ("{{ x['a'] }}", "unexpected character '[': write x.a"),
        ('{{ Event.Payload["a-b"] }}', "unexpected character '[': write Event.Payload|key:'a-b'"),
        ("{{ x['a b'].c }}", "unexpected character '[': write (x|key:'a b').c"),
        ('{{ x["it\'s"] }}', "unexpected character '[': write x|key:\"it's\""),
        ("{{ x[i] }}", "unexpected character '[': write x|index:i for a list, and x|key:i for a map"),
        ("{{ x[1:] }}", "unexpected character '[': write x.0 for an item, and x|slice:'1:3' for a part"),
        (
            "{{ 'a' in ['a'] }}",
            "unexpected character '[': lists have no literal: write 'a,b'|split:','",
        ),
        (
            "{{ 'yes' if Event.Payload.ok else 'no' }}",
            "expected '}}', found 'if': write {% if Event.Payload.ok %}{{ 'yes' }}{% else %}{{ 'no' }}{% endif %}",
        ),
        ("{{ 1 if 2 }}", "expected '}}', found 'if': write {% if condition %}a{% else %}b{% endif %}"),
        ("{% set a = 1 if 2 else 3 %}", "expected '%}', found 'if': write {% if condition %}a{% else %}b{% endif %}"),
        ("{{ a ? b : c }}", "unexpected character '?': write {% if condition %}a{% else %}b{% endif %}"),
        ("{{ 'a' ~ 'b' }}", "unexpected character '~': join text with +"),
        ("{{ x|default('x') }}", "a filter takes its argument after a colon: write default:'x'"),
        ("{{ x|default(Event.Name) }}", "a filter takes its argument after a colon: write default:argument"),
        ("{{ x|upper() }}", "a filter takes its argument after a colon: write upper"),
        ("{% filter cut('a') %}{% endfilter %}", "a filter takes its argument after a colon: write cut:'a'"),
        ("{{ Event.Payload.gerät }}", "unexpected character 'ä': write Event.Payload|key:'gerät'"),
        ("{{ Context.Größe|upper }}", "unexpected character 'ö': write Context|key:'Größe'"),
        (
            "{% if Event.Payload.gerät.name %}{% endif %}",
            "unexpected character 'ä': write (Event.Payload|key:'gerät').name",
        ),
        ("{{ x.gerät-id|upper }}", "unexpected character 'ä': write x|key:'gerät-id'"),
        ("{{ x.id-gerät - 1 }}", "unexpected character 'ä': write x|key:'id-gerät'"),
        ("{{ x.größe-1 }}", "unexpected character 'ö': write x|key:'größe'"),
        ("{{ 'a'|default:x.gerät }}", "unexpected character 'ä': write (x|key:'gerät')"),
        ("{{ datastore('x').gerät }}", "unexpected character 'ä': write datastore('x')|key:'gerät'"),
        ("{{ x.@type }}", "unexpected character '@': write x|key:'@type'"),
        ("{{ x.$ref.y }}", "unexpected character '$': write (x|key:'$ref').y"),
        ("{{ x.in }}", "expected a name or a number after the '.', found 'in': write x|key:'in'"),
        ("{{ x.not-found }}", "expected a name or a number after the '.', found 'not': write x|key:'not-found'"),
        ("{{ x.sign-in-url|upper }}", f"keyword 'in' is not allowed here: {KEY}x|key:'sign-in-url'"),
        ("{% filter default:x.a-b %}{% endfilter %}", f"expected '%}}', found '-': {KEY}(x|key:'a-b')"),
        (
            "{{ 'a'|replace:x.a-b:'c' }}",
            f"filter 'replace' takes two arguments: replace:'old':'new': {KEY}(x|key:'a-b')",
        ),
        ("{% set my-name = 1 %}", "expected '=', found '-': a name can't contain a dash, write my_name"),
        ("{% for my-item in x %}{% endfor %}", "expected 'in', found '-': a name can't contain a dash, write my_item"),
        ("{% with my-name=1 %}{% endwith %}", "expected '=', found '-': a name can't contain a dash, write my_name"),
        ("{% macro m(my-name) %}", "expected ',' or ')', found '-': a name can't contain a dash, write my_name"),
        ("{% append 1 to my-list %}", "expected '%}', found '-': a name can't contain a dash, write my_list"),
        ("{% if a and and b %}", "keyword 'and' is not allowed here"),
        ("{{ é }}", "unexpected character 'é': a name consists of the letters a to z, digits and _"),
    ],
)  # fmt: skip
def test_a_spelling_of_another_language_gets_the_one_of_this_language(source: str, message: str) -> None:
    assert error_of(source).message == message


@pytest.mark.parametrize(
    ("source", "warnings"),
    [
        ("{{ Event.Payload.issue-key }}", [KEY + "Event.Payload|key:'issue-key'"]),
        ("{{ 'a' + Event.Payload.issue-key.name }}", [KEY + "(Event.Payload|key:'issue-key').name"]),
        ("{{ Context.a-b == Context.a-b }}", [KEY + "Context|key:'a-b'"]),
        ("{{ Event.Payload.one-two-three }}", [KEY + "Event.Payload|key:'one-two-three'"]),
        ("{{ Event.Payload.eu-west-1 }}", [KEY + "Event.Payload|key:'eu-west-1'"]),
        ("{{ Event.Payload.issue-key|upper }}", [KEY + "Event.Payload|key:'issue-key'"]),
        ("{{ 2 * Event.Payload.a-b }}", [KEY + "Event.Payload|key:'a-b'"]),
        ("{{ -Event.Payload.a-b }}", [KEY + "Event.Payload|key:'a-b'"]),
        ("{{ 'x'|default:Event.Payload.a-b }}", [KEY + "(Event.Payload|key:'a-b')"]),
        ("{{ 'x'|replace:'x':Event.Payload.a-b.c }}", [KEY + "(Event.Payload|key:'a-b').c"]),
        ("{% if Event.Payload.a-b|lower == 'x' %}{% endif %}", [KEY + "Event.Payload|key:'a-b'"]),
        ("{% for x in Event.Payload.a-b %}{% endfor %}", [KEY + "Event.Payload|key:'a-b'"]),
        ("{% set x = datastore(Event.Payload.a-b) %}", [KEY + "Event.Payload|key:'a-b'"]),
        ("{{ datastore('x').a-b }}", [KEY + "datastore('x')|key:'a-b'"]),
        ("{{ (Event.Payload.list|first).a-b }}", [KEY + "(Event.Payload.list|first)|key:'a-b'"]),
        ("{{ Event.Payload.job-template }}", [KEY + "Event.Payload|key:'job-template'"]),
        ("{{ Event.Payload.is-true }}", [KEY + "Event.Payload|key:'is-true'"]),
        ("{{ Event.Payload.is-None }}", [KEY + "Event.Payload|key:'is-None'"]),
        ("{{ Event.Payload.n-randomInt(2) }}{{ Event.Payload.n-Event.Payload.m }}", []),
        ("{{ Payload.x }}", ["unknown variable 'Payload' is always empty: did you mean 'Event.Payload'?"]),
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


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("{{ Event.Payload.issue-key|upper }}", "an empty string is not a number"),
        ("{{ Event.Payload.issue-key|date:'H:i' }}", "date needs a time, not none"),
        ("{% if 'x' + Event.Payload.issue-key %}{% endif %}", "'x' is not a number"),
        ("{{ Event.Payload.job-template }}", "template takes two arguments, not 0"),
    ],
)
def test_an_error_of_a_key_with_a_dash_names_the_right_spelling(source: str, error: str) -> None:
    key = "issue-key" if "issue" in source else "job-template"
    assert error_of(source).message == f"{error}; {KEY}Event.Payload|key:'{key}'"


def test_a_dash_before_a_number_is_a_minus_but_a_missing_key_is_explained() -> None:
    context = RenderContext({"Event": {"Payload": {"count": 3}}}, reader({}))
    context.collected_warnings = []
    source = "{{ Event.Payload.count-1 }} {{ Event.Payload.sha-256 }}"
    assert compile_template(source).render(context) == "2 -256"
    context.collect_warnings(source, "")
    assert [warning.message for warning in context.collected_warnings] == [
        f"{KEY}Event.Payload|key:'sha-256'",
        "none counts as 0 here",
    ]


@pytest.mark.parametrize(
    "template",
    [
        "{{ PATH|upper }}",
        "{{ 'x' + PATH }}",
        "{{ ''|default:PATH }}",
        "{{ 'y'|replace:'y':PATH|upper }}",
        "{% if PATH == 'v' %}V{% endif %}",
        "{% set x = PATH %}{{ x }}",
        "{% with x=PATH %}{{ x }}{% endwith %}",
        "{{ datastore(PATH, PATH) }}",
        "{% for x in PATH %}{{ x }}{% endfor %}",
        "{% firstof '' PATH %}",
    ],
)
@pytest.mark.parametrize("path", ["Event.Payload.a-b", "Event.Payload.c-d-e.f", "Event.Payload.ü.x"])
def test_the_suggested_spelling_gives_the_value(template: str, path: str) -> None:
    try:
        messages = [warning.message for warning in compile_template(template.replace("PATH", path)).warnings]
    except TemplateError as error:
        messages = [error.message]
    suggestion = messages[0].partition(" write ")[2]
    variables = {"Event": {"Payload": {"a-b": "v", "c-d-e": {"f": "v"}, "ü": {"x": "v"}}}}
    context = RenderContext(variables, reader({}))
    assert compile_template(template.replace("PATH", suggestion)).render(context).lower() in ("v", "xv")


def test_many_dashes_are_examined_in_little_time() -> None:
    source = "{{ " + " + ".join([f"({'a' * 190}.b).c-d"] * 4000) + " }}"
    assert len(compile_template(source).warnings) == 2


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
