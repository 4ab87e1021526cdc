"""Results of filters for which the reference has no example."""

import pytest

from flows.template import RenderContext, TemplateError, compile_template
from tests.template.recorded import ERROR, resolve

pytestmark = pytest.mark.unit

VARIABLES = {
    "Event": {
        "CreatedAt": "2019-05-06T07:08:09.25Z",
        "Payload": {
            "l": ["a", "b"],
            "n": [3, None, "x"],
            "m": {"k": "v"},
            "nul": None,
            "wide": "a\u00a0 b",
            "big": 10**30,
            "html": "<p>one <b>two</b> three</p>",
            "lm": [{"a": {"b": 2}}, {"a": {"b": 1}}, {"c": 0}],
            "lines": "a\n\nb\nc",
            "half": "\ud800",
        },
    },
    "Context": {},
}


def value(expression: str) -> object:
    return resolve(f"{{{{ {expression} }}}}", VARIABLES, {})


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("5|capfirst", ""),
        ("'éa'|capfirst", "Éa"),
        ("5|title", ""),
        ('"it\'s a_b c-d"|title', "It'S A_b C-D"),
        ("Event.Payload.m|length", "1"),
        ("Event|length", "0"),
        ("5|ljust:3 + '.'", "5   ."),
        ("'abc'|ljust:1", "abc"),
        ("'ab'|rjust:-4 + '.'", "ab  ."),
        ("'abc'|center:2", "abc"),
        ("'aXbX'|cut:'X'", "ab"),
        ("'ab'|cut", "ab"),
        ("'abc'|truncatechars:3", "abc"),
        ("'abcd'|truncatechars:3", "..."),
        ("'abcd'|truncatechars:-1", ERROR),
        ("'a b'|truncatewords:2", "a b"),
        ("'a b'|truncatewords:0", ""),
        ("'a b c d e'|wordwrap:3", "a b c\nd e"),
        ("'a b'|wordwrap:0", "a b"),
        ("Event.Payload.wide|safecopypaste", "a  b"),
        ("Event.Payload.wide|removedupwhitespaces", "a\u00a0 b"),
    ],
)
def test_filters_for_texts(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("Event.Payload.nul|first + '.'", "."),
        ("''|last + '.'", "."),
        ("'abc'|last", "c"),
        ("Event.Payload.l|index:9", ""),
        ("Event.Payload.l|index:-3", ""),
        ("'abc'|index:-1", "c"),
        ("5|index:0", ""),
        ("Event.Payload.m|key:'x'", ""),
        ("Event.Payload.l|key:'x'", ERROR),
        ("'a'|key:'x'", ERROR),
        ("Event|key:'Payload'", ERROR),
        ("Event.Payload.n|join:'-'", "3--x"),
        ("Event.Payload.l|join", "ab"),
        ("5|join:'-'", "5"),
        ("'abc'|split:''|join:'.'", "a.b.c"),
        ("''|split:''|length", "0"),
        ("'abc'|slice:'::-1'", "cba"),
        ("'abc'|slice:'x'", "abc"),
        ("'abc'|slice:2", "ab"),
        ("5|slice:'1:'", "5"),
        ("Event.Payload.m|slice:'1:'", '{"k":"v"}'),
        ("true|yesno:'a'", ERROR),
        ("true|yesno:'a,b,c,d'", ERROR),
        ("none|yesno:'a,b'", "maybe"),
        ("'1'|pluralize + '.'", "."),
        ("'a'|pluralize", ERROR),
        ("true|pluralize", ERROR),
        ("1|pluralize + '.'", "."),
        ("0|pluralize:'y,ies'", "ies"),
        ("0|pluralize:'es'", "es"),
        ("1|pluralize:'a,b,c'", ERROR),
        ("Event.Payload.lm|dictsort:'a.b'|first|key:'a'", '{"b":1}'),
        ("5|dictsort:'a'", ERROR),
        ("'a=1,b,c=2=3, d = 4 '|kvp", '{"a":"1","d":"4"}'),
    ],
)
def test_filters_for_lists_and_choices(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("Event.Payload.big|integer", "1" + "0" * 30),
        ("'12345678901234567890'|integer", "12345678901234567890"),
        ("' 5'|integer", "5"),
        ("'1e400'|float", ERROR),
        ("'inf'|float", "0.0"),
        ("true|integer", "0"),
        ("2.5|floatformat:0", "2"),
        ("34.26|floatformat:-3", "34.260"),
        ("34.0|floatformat:'2'", "34"),
        ("1|floatformat:101", ERROR),
        ("6|divisibleby:0", "False"),
        ("'abc'|get_digit:1", ERROR),
        ("123|get_digit:9", "123"),
        ("true|add:1", "True1"),
        ("Event.CreatedAt|date:'Y-m-d'", "2019-05-06"),
        ("Event.CreatedAt|date", ""),
        ("'2019-05-06'|date:'2006'", "2019"),
        ("5|date:'2006'", ERROR),
        ("Event.CreatedAt|matchesCron:'* * * * *'", ERROR),
        ("Event.CreatedAt|timesince:'x'", ERROR),
    ],
)
def test_filters_for_numbers_and_times(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("Event.Payload.lines|linebreaks", "<p>a</p><p>b<br />c</p>"),
        ("5|linebreaks", "5"),
        ("'\\\\n'|escapejs", "\\u000A"),
        ("'aé🚀'|escapejs", "a\\u00E9\\uD83D\\uDE80"),
        ("'\U0010ffff\uffff'|escapejs", "\\uDBFF\\uDFFF\\uFFFF"),
        ("Event.Payload.half|escapejs", "\\uD800"),
        ("Event.Payload.lines|split:'\\n'|length", "4"),
        ("Event.Payload.l|join:'\\n'", "a\nb"),
        ("none|default:'a\\n'", "a\n"),
        ("Event.Payload.l|join:'\\\\n'", "a\\nb"),
        ("Event.Payload.l|join:'\\t'", "a\\tb"),
        ("'a\\nb'", "a\\nb"),
        ("Event.Payload.lines|match:'a\\n'", "True"),
        ("Event.CreatedAt|date:'i\\n'", "08n"),
        ("'a&b c~_'|urlencode", "a%26b+c~_"),
        ("'me a@b.de'|urlize", 'me <a href="mailto:a@b.de">a@b.de</a>'),
        (
            "'x.com www.y.z ok'|urlize",
            '<a href="http://x.com" rel="nofollow">x.com</a> <a href="http://www.y.z" rel="nofollow">www.y.z</a> ok',
        ),
        ("Event.Payload.html|truncatewords_html:1", "<p>one ...</p>"),
        ("'<p>a b</p> c'|truncatewords_html:2", "<p>a b...</p>"),
        ("Event.Payload.html|truncatechars_html:99", "<p>one <b>two</b> three</p>"),
        ("'<b>'|removetags:'b,i'", ""),
        ("'a < b'|striptags", "a < b"),
    ],
)
def test_filters_for_html_and_urls(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("none|match:'^$'", "True"),
        ("5|match:'^5$'", "True"),
        ("'é'|match:'^.$'", "True"),
        ("Event.Payload.half|match:'.'", "True"),
        ("'ab'|match:('^' + 'a')", "True"),
        ("'ab'|match:('(' + 'a')", ERROR),
        ("'ab'|extractMatch:'(?P<x>b)'", "b"),
        ("'ab'|extractMatch:'(c)?b'", ""),
        ("'ab'|match:'(a)\\\\1'", ERROR),
    ],
)
def test_filters_for_patterns(expression: str, result: str) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    "expression", ["'a'|match:'('", "'a'|extractMatch:'(?=a)'", "'a'|matchesCron:'nonsense'", "'a'|match:'a{2000}'"]
)
def test_a_literal_pattern_is_checked_at_compile_time(expression: str) -> None:
    with pytest.raises(TemplateError):
        compile_template(f"{{% if false %}}{{{{ {expression} }}}}{{% endif %}}")


def test_a_value_that_is_not_json_is_an_error() -> None:
    evaluation = RenderContext({"Event": {"Payload": {"o": object(), "l": [object()]}}}, str)

    for template in ("{{ Event.Payload.o }}", "{{ Event.Payload.o.x }}", "{{ Event.Payload.l }}"):
        with pytest.raises(TemplateError):
            compile_template(template).render(evaluation)
