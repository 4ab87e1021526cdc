"""Reading of numbers: white space, text that is not a number, and warnings about values."""

import pytest

from flows.template import RenderContext, TemplateError, compile_template
from flows.template.runtime.numbers import MAX_NUMBER_LENGTH
from tests.template import recorded

pytestmark = pytest.mark.unit

VARIABLES = {
    "Event": {
        "CreatedAt": "2019-05-06T07:08:09Z",
        "ReceivedAt": "2019-05-06T07:08:10Z",
        "Payload": {
            "out": "42\n", "crlf": "9\r\n", "wc": "      42 notes.txt\n", "padded": "\t 42 \n", "percent": " 95%\n",
            "float": "4.75\n", "digits": "1234\n", "blank": " \n", "text": "n/a\n", "commas": "1,234\n",
            "size": "123456\n", "one": "1\n", "huge": "1e400\n", "bom": "\ufeff42\r\n", "hours": "10", "minutes": "30",
            "n": 42, "codes": [200, 201], "names": ["200", "201"], "list": [1], "map": {"a": 1},
        },
    },
    "Context": {"count": " 7\n", "empty": ""},
}  # fmt: skip


def render(template: str) -> tuple[str, list[str]]:
    """Return the output, or the error after `error: `, and the warnings."""
    render_context = RenderContext(dict(VARIABLES), recorded.reader({}))
    render_context.collected_warnings = []
    compiled = compile_template(template)
    try:
        output = compiled.render(render_context)
    except TemplateError as error:
        output = f"error: {error.message}"
    render_context.collect_warnings(template, "")
    return output, [warning.message for warning in render_context.collected_warnings]


def value(expression: str) -> str:
    return render(f"{{{{ {expression} }}}}")[0].replace("Event.Payload.", "")


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("Event.Payload.out|integer", "42"),
        ("Event.Payload.padded|integer", "42"),
        ("Event.Payload.bom|integer", "42"),
        ("Event.Payload.out|float", "42.0"),
        ("Event.Payload.float|integer", "4"),
        ("Event.Payload.out|floatformat:1", "42.0"),
        ("Event.Payload.float|floatformat", "4.8"),
        ("3.14159|floatformat:Context.count", "3.1415900"),
        ("Event.Payload.out + 1", "43"),
        ("1 + Event.Payload.out", "43"),
        ("Event.Payload.padded + Event.Payload.out", "84"),
        ("Event.Payload.out - 2", "40"),
        ("Event.Payload.out * 2", "84"),
        ("Event.Payload.out / 4", "10.5"),
        ("Event.Payload.out % 5", "2"),
        ("Context.count ^ 2", "49"),
        ("-Event.Payload.out", "-42"),
        ("Event.Payload.crlf > 14", "False"),
        ("Event.Payload.crlf < 14", "True"),
        ("Event.Payload.crlf >= 9", "True"),
        ("14 <= Event.Payload.crlf", "False"),
        ("Event.Payload.crlf < Event.Payload.out", "True"),
        ("Event.Payload.percent|cut:'%'|integer > 90", "True"),
        ("Event.Payload.percent|cut:'%' > 90", "True"),
        ("Event.Payload.wc|extractMatch:'^ *([0-9]+)' * 2", "84"),
        ("Event.Payload.size|filesizeformat", "120.6\u00a0KB"),
        ("Event.Payload.out|divisibleby:7", "True"),
        ("42|divisibleby:Context.count", "True"),
        ("Event.Payload.out|add:1", "43"),
        ("1|add:Event.Payload.out", "43"),
        ("Event.Payload.digits|get_digit:2", "3"),
        ("1234|get_digit:Event.Payload.one", "4"),
        ("Event.Payload.one|pluralize + '.'", "."),
        ("Event.Payload.out|pluralize", "s"),
        ("'abc'|length_is:'3 '", "True"),
        ("'ab'|ljust:Context.count + '.'", "ab     ."),
        ("'ab'|rjust:Context.count", "     ab"),
        ("'abcdefghij'|truncatechars:Context.count", "abcd..."),
        ("'a b c'|truncatewords:Event.Payload.one", "a ..."),
        ("'a b c'|wordwrap:Event.Payload.one", "a\nb\nc"),
        ("'abc'|index:Event.Payload.one", "b"),
    ],
)
def test_white_space_around_a_number_is_ignored(expression: str, result: str) -> None:
    assert value(expression) == result


def test_widthratio_ignores_white_space_and_reports_text_that_is_not_a_number() -> None:
    assert render("{% widthratio Context.count 14 100 %}")[0] == "51"
    assert render("{% widthratio Event.Payload.text 14 100 %}")[0] == "error: 'n/a\\n' is not a number"


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("Event.Payload.hours + ' ' + Event.Payload.minutes", "10 30"),
        ("10 + ' ' + 30", "10 30"),
        ("10 + (' ' + 30)", "10 30"),
        ("'1' + ' 2'", "1 2"),
        ("'Port ' + 5", "Port 5"),
        ("5 + ' ' + '%'", "5 %"),
        ("'1' + '2'", "3"),
        ("' 1 ' + 2", "3"),
        ("'5'|add:'5'", "55"),
        ("Event.Payload.out|add:'1'", "42\n1"),
    ],
)
def test_white_space_that_a_template_writes_between_texts_joins_them(expression: str, result: str) -> None:
    assert value(expression) == result


CONVERT = ": convert it with |integer or |float"
NOT_A_NUMBER = "'n/a\\n' is not a number"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("Event.Payload.text - 1", NOT_A_NUMBER),
        ("2 * Event.Payload.text", NOT_A_NUMBER),
        ("Event.Payload.text / 2", NOT_A_NUMBER),
        ("Event.Payload.text % 2", NOT_A_NUMBER),
        ("Event.Payload.text ^ 2", NOT_A_NUMBER),
        ("-Event.Payload.text", f"only a number can be negative: {NOT_A_NUMBER}"),
        ("-true", "only a number can be negative, not a boolean"),
        ("Event.Payload.text > 14", f"cannot compare 14 with a string: {NOT_A_NUMBER}"),
        ("14 <= Event.Payload.text", f"cannot compare 14 with a string: {NOT_A_NUMBER}"),
        ("Context.empty < 5", "cannot compare 5 with a string: an empty string is not a number"),
        ("Event.Payload.blank > 5", "cannot compare 5 with a string: an empty string is not a number"),
        ("Event.Payload.text|divisibleby:2", NOT_A_NUMBER),
        ("4|divisibleby:Event.Payload.text", NOT_A_NUMBER),
        ("Event.Payload.text|filesizeformat", NOT_A_NUMBER),
        ("Event.Payload.text|stringformat:'%03d'", NOT_A_NUMBER),
        ("Event.Payload.text|get_digit:1", NOT_A_NUMBER),
        ("Event.Payload.text|pluralize", NOT_A_NUMBER),
        ("1.5|floatformat:Event.Payload.text", NOT_A_NUMBER),
        ("'abc'|ljust:Event.Payload.text", NOT_A_NUMBER),
        ("Event.Payload.percent|integer", "' 95%\\n' is not a number: remove the unit, as in |cut:'%'"),
        ("'1.5 GB'|float", "'1.5 GB' is not a number: remove the unit, as in |cut:' GB'"),
        ("'7 days'|floatformat", "'7 days' is not a number: remove the unit, as in |cut:' days'"),
        ("Event.Payload.commas|integer", "'1,234\\n' is not a number: remove the commas, as in |cut:','"),
        ("'1.2.3'|float", "'1.2.3' is not a number"),
        ("'\uff14\uff12'|integer", "'\uff14\uff12' is not a number: only the digits 0 to 9 are read"),
        ("'\u0664\u0662'|float", "'\u0664\u0662' is not a number: only the digits 0 to 9 are read"),
        ("'4\u0967'|floatformat", "'4\u0967' is not a number: only the digits 0 to 9 are read"),
        ("'\uff14' > 3", "cannot compare 3 with a string: '\uff14' is not a number: only the digits 0 to 9 are read"),
        ("'42\x00'|integer", "'42\\x00' is not a number"),
        ("'3,5'|float", "'3,5' is not a number"),
        ("Event.Payload.huge|float", "'1e400' is too large for a number"),
        ("Event.Payload.list|integer", "a list is not a number"),
        ("Event.Payload.map * 2", "a map is not a number"),
        ("Event.Payload.list > 1", "a list is not a number"),
        ("Event.CreatedAt - 1", "a time is not a number: use .Unix"),
    ],
)
def test_text_that_is_not_a_number_is_an_error_with_the_value(expression: str, message: str) -> None:
    assert value(expression) == f"error: {message}"


@pytest.mark.parametrize(
    ("expression", "result", "warning"),
    [
        ("'abc'|integer", "0", "'abc' is not a number; it counts as 0"),
        ("'abc'|float", "0.0", "'abc' is not a number; it counts as 0"),
        ("'abc'|floatformat", "0", "'abc' is not a number; it counts as 0"),
        ("'0x10'|integer", "0", "'0x10' is not a number; it counts as 0"),
        ("''|integer", "0", "an empty string is not a number; it counts as 0"),
        ("missing|integer", "0", "none counts as 0 here"),
        ("true|float", "0.0", "true counts as 0 here"),
        ("none + 1", "1", "none counts as 0 here"),
        ("true + 1", "1", "true counts as 0 here"),
        ("none < 1", "True", "none counts as 0 here"),
        ("Event.CreatedAt < Event.ReceivedAt", "False", "times have no order: compare their .Unix"),
        ("Event.Payload.n == '42'", "False", f"the number 42 never equals the string '42'{CONVERT}"),
        ("'7' != 42", "True", f"the number 42 never equals the string '7'{CONVERT}"),
        ("Event.Payload.out == 42", "False", f"the number 42 never equals the string '42\\n'{CONVERT}"),
        ("Event.Payload.out == '42'", "False", "'42\\n' and '42' differ only in white space at an end"),
        ("200 in Event.Payload.names", "False",
         "the list contains the string '200', which never equals the number 200"),
        ("'201' not in Event.Payload.codes", "True",
         "the list contains the number 201, which never equals the string '201'"),
    ],
)  # fmt: skip
def test_a_recorded_result_that_is_probably_a_mistake_is_a_warning(expression: str, result: str, warning: str) -> None:
    assert render(f"{{{{ {expression} }}}}") == (result, [warning])


@pytest.mark.parametrize(
    "expression",
    [
        "Event.Payload.n == 42", "'a' == 42", "Event.Payload.text == 'x'", "200 in Event.Payload.codes",
        "404 in Event.Payload.names", "Event.Payload.out|integer + 1", "Event.Payload.crlf > 14", "'2' in '12'",
    ],
)  # fmt: skip
def test_other_operations_give_no_warning(expression: str) -> None:
    assert render(f"{{{{ {expression} }}}}")[1] == []


def test_a_warning_has_its_position_and_is_given_once() -> None:
    render_context = RenderContext(dict(VARIABLES), recorded.reader({}))
    render_context.collected_warnings = []
    source = "{% for x in 'abc' %}\n{{ 1 == '1' }}{% endfor %}{{ template('{{ none + 1 }}', Context) }}"

    compile_template(source).render(render_context)
    render_context.collect_warnings(source, "input.a")

    first, second = render_context.collected_warnings
    assert (first.line, first.column, first.path) == (2, 6, "input.a")
    assert (second.line, second.message) == (2, "in template(): none counts as 0 here")


def test_warnings_are_not_recorded_unless_they_are_collected() -> None:
    render_context = RenderContext(dict(VARIABLES), recorded.reader({}))

    compile_template("{{ 1 == '1' }}{{ none + 1 }}").render(render_context)

    assert not render_context.located_warnings
    assert not render_context.unlocated_warnings


def test_white_space_without_end_is_not_searched_for_a_number() -> None:
    long_text = "5" + " " * MAX_NUMBER_LENGTH

    with pytest.raises(TemplateError, match="is not a number"):
        compile_template("{{ Context.x > 1 }}").render(RenderContext({"Context": {"x": long_text}}, str))
