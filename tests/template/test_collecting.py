"""Lists in templates: the tag `append`, and the function `range`."""

import pytest

from flows.template import RenderLimits, compile_template
from tests.template.rendering import ERROR, render, render_with_datastore

pytestmark = pytest.mark.unit

BUILDS = [{"id": 1, "ok": True}, {"id": 2, "ok": False}, {"id": 3, "ok": False}]


@pytest.mark.parametrize(
    ("source", "output"),
    [
        (
            "{% for b in Event.Payload.builds %}{% if not b.ok %}{% append b.id to bad %}{% endif %}{% endfor %}"
            "{{ bad|join:', ' }} {{ bad|length }} {{ bad.0 }}{% if 2 in bad %} yes{% endif %}",
            "2, 3 2 2 yes",
        ),
        (
            "{{ bad|length }}{% if bad %}some{% else %}none{% endif %}{% if 0 %}{% append 1 to bad %}{% endif %}",
            "0none",
        ),
        (
            "{% set t = Event.Payload.tags %}{% append 'c' to t %}{{ t }}{{ Event.Payload.tags }}",
            '["a","b","c"]["a","b"]',
        ),
        ("{% append 1 to a %}{% append a to b %}{% append 2 to a %}{{ a }}{{ b }}", "[1,2][[1]]"),
        ("{% append 1 to a %}{% append a to a %}{{ a }}", "[1,[1]]"),
        ("{% append 1 to a %}{% set c = a %}{% append 2 to a %}{% append 3 to c %}{{ c }}{{ a }}", "[1,3][1,2]"),
        (
            "{% for x in 'ab' %}{% set row = range(0) %}{% for y in '12' %}{% append x+y to row %}{% endfor %}"
            "{% append row to rows %}{% endfor %}{{ rows }}",
            '[["a1","a2"],["b1","b2"]]',
        ),
        (
            "{% for x in 'ab' %}{% append x to l %}{% for y in l %}{% append y to l %}{% endfor %}{% endfor %}"
            "{{ l|length }}",
            "6",
        ),
        ("{% macro m(x) %}{% append x to l %}{% endmacro %}{{ m(1) }}{{ m(2) }}{{ l }}", "[1,2]"),
        ("{% with q=1 %}{% append q to l %}{% endwith %}{{ l }}", "[1]"),
        ("{{ template('{% append 1 to l %}{{ l }}', Event.Payload.map) }}{% append 2 to l %}{{ l }}", "[1][2]"),
        ("{% append none to l %}{% append Event.CreatedAt to l %}{{ l|tojson }}", '[null,"2026-11-21T05:30:00Z"]'),
        ("{% append 'b' to l %}{% append 'a' to l %}{% for x in l sorted %}{{ x }}{% endfor %}{{ l|last }}", "aba"),
        (
            "{{ range(3) }}{{ range(1, 4) }}{{ range(5, 0, -2) }}{{ range(3, 1) }}{{ range(2.0) }}",
            "[0,1,2][1,2,3][5,3,1][][0,1]",
        ),
        ("{% for n in range(2) %}{{ n }}{% endfor %}", "01"),
        ("{{ range('2') }}{{ range(1, ' 3 ') }}", "[0,1][1,2]"),
    ],
)
def test_values_are_collected(source: str, output: str) -> None:
    assert render(source, builds=BUILDS, tags=["a", "b"], map={"k": 1}) == output


def test_a_template_that_is_rendered_again_starts_with_empty_lists() -> None:
    source = "{% append 1 to l %}{{ l }}"

    assert [render(source), render(source)] == ["[1]", "[1]"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% append 1 %}", "expected 'to' and the name of a list, found '%}'"),
        ("{% append 1 to %}", "expected the name of a list, found '%}'"),
        ("{% append to l %}", "expected 'to' and the name of a list, found 'l'"),
        ("{% append 1 to a.b %}", "expected '%}', found '.'"),
        ("{% append 1 to none %}", "'none' is a literal and cannot be used as a name"),
        ("{% set t = 'x' %}{% append 1 to t %}", "cannot append to 't', which is a string here"),
        (
            "{% with t=Event.Payload.tags %}{% append 1 to t %}{% endwith %}",
            "cannot append to 't', which is a list here: copy it with {% set t = t %}",
        ),
        ("{{ range(100001) }}", "range returns at most 100,000 numbers, not 100,001"),
        ("{{ range(0, 10 ^ 18) }}", "range takes numbers up to 9,007,199,254,740,992"),
        ("{{ range(0, 5, 0) }}", "range needs a step other than 0"),
        ("{{ range('x') }}", "range needs a whole number: 'x' is not a number"),
        ("{{ range('1.5') }}", "range needs a whole number, not 1.5"),
        ("{{ range(0.5) }}", "range needs a whole number, not 0.5"),
        ("{{ range() }}", "range takes one to three arguments, not 0"),
        ("{{ range(1, 2, 3, 4) }}", "range takes one to three arguments, not 4"),
        ("{{ datastore('a', 'b', 'c') }}", "datastore takes one or two arguments, not 3"),
    ],
)
def test_wrong_arguments_are_errors(source: str, message: str) -> None:
    assert render(source, tags=["a"]) == ERROR + message


def test_a_name_that_is_only_collected_is_no_unknown_variable() -> None:
    assert compile_template("{{ bad }}{% append 1 to bad %}").warnings == ()


@pytest.mark.parametrize(
    "source",
    [
        "{% append 'x' to l %}{% for i in range(90) %}{% append l to l %}{% endfor %}{{ l }}",
        "{% for i in range(1000) %}{% append Event.Payload.big to l %}{% endfor %}{{ l }}",
        "{% for i in range(90) %}{% append l to m %}{% append m to l %}{% endfor %}",
        "{% for i in range(90) %}{% append l|slice:':' to l %}{% endfor %}{{ l }}",
        "{% for i in range(99999) %}{% append Event.Payload.map to l %}{% endfor %}{{ l|tojson }}",
    ],
)
def test_a_list_cannot_grow_without_limit(source: str) -> None:
    output = render(source, big="x" * 100_000, map={str(number): "y" * 20 for number in range(100)})

    assert output.startswith(
        (ERROR + "list is too large", ERROR + "lists are nested too deeply", ERROR + "template does")
    )


def test_ranges_and_lists_count_as_work() -> None:
    source = "{% for i in range(100) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"

    assert render(source).startswith(ERROR + "too many loop iterations")
    assert render("{% append Event.Payload.l to l %}", limits=RenderLimits(work=100), l=[1] * 200).startswith(
        ERROR + "template does too much work"
    )


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("{{ datastore('a', 'default') }}", "1"),
        ("{{ datastore('missing', 'default') }}", "default"),
        ("{{ datastore('missing', Event.Payload.x) }}", "event"),
        ("{{ datastore('missing', datastore('a')) }}", "1"),
        ("{{ datastore('missing', none)|default:'-' }}", "-"),
        ("{{ datastore('missing', range(0))|length }}", "0"),
        ("{{ datastore('missing', 1) }}{{ datastore('missing') }}", ERROR + "datastore item 'missing' not found"),
        ("{{ datastore('missing') }}", ERROR + "datastore item 'missing' not found"),
        ("{{ datastore('broken', 'default') }}", ERROR + "can't read datastore item 'broken'"),
    ],
)
def test_a_default_replaces_only_a_missing_datastore_item(source: str, output: str) -> None:
    items = {"a": "1", "broken": LookupError("can't read datastore item 'broken'")}

    assert render_with_datastore(source, items, x="event") == output
