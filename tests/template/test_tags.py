"""Output of tags, the names they set, and their end tags."""

import pytest

from tests.template.recorded import ERROR, resolve

pytestmark = pytest.mark.unit

VARIABLES = {
    "Event": {"Payload": {"l": ["a", "b"], "mixed": [2, "x", 1.5, None, True], "m": {"y": 1, "x": 2}, "h": "<b>"}},
    "Context": {},
}


def text(template: str) -> object:
    return resolve(template, VARIABLES, {})


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("{% if 0 %}a{% elif '' %}b{% elif 1 %}c{% else %}d{% endif %}", "c"),
        ("{% if 0 %}a{% endif %}", ""),
        ("{%if 1%}a{%endif%}", "a"),
        ("a {%- if 1 -%} b {%- endif -%} c", "abc"),
        (
            "{% for x in 'ab' %}{% for y in 'cd' %}{{ forloop.parentloop.counter }}{{ y }}{% endfor %}{% endfor %}",
            "1c1d2c2d",
        ),
        ("{{ forloop.counter }}", ""),
        ("{% for x in 'ab' %}{{ forloop.revcounter }}{{ forloop.revcounter0 }}{% endfor %}", "2110"),
        ("{% for x in 'ab' %}{{ forloop.nosuch }}{{ forloop.parentloop }}{% endfor %}", ""),
        ("{% for x in Event.Payload.mixed sorted %}{{ x }},{% endfor %}", "1.5,2,,True,x,"),
        ("{% for k in Event.Payload.m sorted %}{{ k }}{% endfor %}", "xy"),
        ("{% for k, v in Event.Payload.m reversed sorted %}{{ k }}{{ v }}{% endfor %}", "y1x2"),
        ("{% for x in 'ab' reversed %}{{ x }}{% endfor %}", "ba"),
        ("{% for x in 'ab' sorted %}{{ x }}{% endfor %}", ERROR),
        ("{% for x in 5 %}{{ x }}{% empty %}-{% endfor %}", "-"),
        ("{% for x in Event %}{{ x }}{% empty %}-{% endfor %}", "-"),
        ("{% for a, b in Event.Payload.l %}{{ a }}{{ b }}{% endfor %}", "ab"),
        ("{% set n = 0 %}{% for x in 'abc' %}{% set n = n + 1 %}{{ n }}{% endfor %}{{ n }}", "1230"),
        ("{% if 1 %}{% set a = 1 %}{% endif %}{{ a }}", "1"),
        ("{% with a=1 %}{% set a = 2 %}{{ a }}{% endwith %}{{ a }}", "2"),
        ("{% set a = 1 %}{% with a=2 b=a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "211"),
        ("{% set datastore = 1 %}{{ datastore }}", "1"),
        ("{% set Event = 1 %}{{ Event }}", "1"),
        ("{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}", "112"),
        ("{% macro m() %}x{% endmacro %}{{ m }}{{ m() }}{{ m|upper }}", "xxX"),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}.{{ m(1, 2) }}", ERROR),
        ("{% macro a(n) %}{% if n %}{{ n }}{{ a(n - 1) }}{% endif %}{% endmacro %}{{ a(3) }}", "321"),
        ("{% macro m() export %}x{% endmacro %}{{ m() }}", "x"),
        (
            "{% autoescape on %}{{ Event.Payload.h }}"
            "{% autoescape off %}{{ Event.Payload.h }}{% endautoescape %}{% endautoescape %}",
            "&lt;b&gt;<b>",
        ),
        (
            "{% autoescape on %}{{ Event.Payload.l }}{{ 5 }}{{ 1.5 }}{% endautoescape %}",
            "[&quot;a&quot;,&quot;b&quot;]51.5",
        ),
        (
            "{% autoescape on %}{% macro m() %}<i>{{ Event.Payload.h }}{% endmacro %}{{ m() }}{% endautoescape %}",
            "<i>&lt;b&gt;",
        ),
        ("{% autoescape on %}{{ 'a'|add:Event.Payload.h|safe }}{% endautoescape %}", "a<b>"),
        ("{% autoescape on %}{% firstof '' Event.Payload.h %}{% endautoescape %}", "&lt;b&gt;"),
        ("{% autoescape on %}{{ Event.Payload.h }}{% endautoescape 5 %}", "&lt;b&gt;"),
        ("{% spaceless %}<a> <b>{% endspaceless 5 %}", "<a><b>"),
        ("{% filter upper %}a{% endfilter 5 %}", "A"),
        ("{% if 1 %}a{% endif 5 %}", ERROR),
        ("{% if 0 %}{{ 'x'|matchesCron:'bad' }}{% endif %}", ERROR),
        ("{% filter upper %}a{{ 'b' }}{% endfilter %}", "AB"),
        ("{% filter cut:'a'|upper %}abc{% endfilter %}", "BC"),
        ("{% filter nosuch %}a{% endfilter %}", ERROR),
        ("{% for x in 'abcd' %}{% cycle 1 2 3 %}{% endfor %}", "1231"),
        ("{% cycle 'a' 'b' as c %}{% cycle c %}{{ c }}", "abb"),
        ("{% cycle %}", ERROR),
        ("{% for x in 'aabb' %}{% ifchanged x %}{{ x }}{% endifchanged %}{% endfor %}", "ab"),
        (
            "{% for x in 'aab' %}{% for y in x %}{% ifchanged y x %}{{ y }}{% endifchanged %}{% endfor %}{% endfor %}",
            "ab",
        ),
        ("{% firstof '' 0 %}.", "."),
        ("{% ifequal Event.Payload.l Event.Payload.l %}same{% endifequal %}", "same"),
        ("{% spaceless %} <a> \n <b> x </b> {% endspaceless %}", " <a><b> x </b> "),
        ("{% widthratio 1 0 100 %}", ERROR),
        ("{% widthratio 1 3 100 %}", "34"),
        ("{% lorem 2 p %}", None),
        ("{% lorem 1 x %}", ERROR),
        ("{% now 5 %}", ERROR),
        ("{% now 'Mon Jan _2 15:04:05 2006' fake %}", "Wed Feb  5 18:31:45 2014"),
        ("{% templatetag opencomment %}{% templatetag closebrace %}", "{#}"),
        ("{% templatetag nosuch %}", ERROR),
        ("{% verbatim %}{{ a }}{% if %}{# #}{% endverbatim %}", "{{ a }}{% if %}{# #}"),
        ("a{# {{ nothing #}b", "ab"),
        ("{% comment %}{% if %}{{ 'a }}{% endcomment %}x", "x"),
    ],
)
def test_a_tag_renders_as_documented(template: str, result: str | None) -> None:
    output = text(template)

    assert output != ERROR if result is None else output == result


@pytest.mark.parametrize(
    "template",
    [
        "{% if %}{% endif %}",
        "{% if 1 %}",
        "{% if 1 %}{% endfor %}",
        "{% if 1 2 %}{% endif %}",
        "{% else %}",
        "{% if 1 %}{% else %}{% elif 1 %}{% endif %}",
        "{% if 1 %}{% else 1 %}{% endif %}",
        "{% endif %}",
        "{% %}",
        "{% if 1 %}{% endif 1 %}",
        "{% if 1 }}{% endif %}",
        "{{ 1 %}",
        "{% for %}{% endfor %}",
        "{% for x %}{% endfor %}",
        "{% for x in %}{% endfor %}",
        "{% for 1 in 'a' %}{% endfor %}",
        "{% for x, in 'a' %}{% endfor %}",
        "{% for x in 'a' sorted reversed %}{% endfor %}",
        "{% for x in 'a' %}{% break %}{% endfor %}",
        "{% for True in 'a' %}{% endfor %}",
        "{% set a %}",
        "{% set a.b = 1 %}",
        "{% set none = 1 %}",
        "{% set a = 1 2 %}",
        "{% with %}{% endwith %}",
        "{% with a %}{% endwith %}",
        "{% with 1 as %}{% endwith %}",
        "{% macro %}{% endmacro %}",
        "{% macro m %}{% endmacro %}",
        "{% macro m(a b) %}{% endmacro %}",
        "{% macro m( %}{% endmacro %}",
        "{% autoescape maybe %}{% endautoescape %}",
        "{% comment x %}{% endcomment %}",
        "{% comment %}",
        "{% verbatim %}",
        "{% extends 'x' %}",
        "{% include 'x' %}",
        "{% import 'x' y %}",
        "{% ssi 'x' %}",
        "{% block x %}{% endblock %}",
        "{% load x %}",
        "{% url x %}",
        "{% csrf_token %}",
        "{% nosuch %}",
        "{% 5 %}",
        "{% in %}",
        "{#",
        "{# a\n#}",
        "{% ifequal 1 %}{% endifequal %}",
        "{% ifequal 1 2 3 %}{% endifequal %}",
        "{% lorem 99999 %}",
    ],
)
def test_an_invalid_tag_is_an_error(template: str) -> None:
    assert text(template) == ERROR


def test_the_state_of_tags_ends_with_the_rendering() -> None:
    template = "{% cycle 'a' 'b' %}{% ifchanged %}x{% endifchanged %}"

    assert [text(template), text(template)] == ["ax", "ax"]
