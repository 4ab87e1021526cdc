"""JSON values whose strings are templates."""

import pytest

from flows.template import CompiledValue, RenderContext, TemplateError, compile_value
from tests.template.recorded import reader

pytestmark = pytest.mark.unit


def evaluation(**context: str) -> RenderContext:
    return RenderContext({"Event": {"Name": "N"}, "Context": context}, reader({}))


def compiled(value: object, path: str = "command.input") -> tuple[CompiledValue, list[TemplateError]]:
    problems: list[TemplateError] = []
    return compile_value(value, path, problems), problems


def test_strings_are_rendered_and_other_values_are_unchanged() -> None:
    value, problems = compiled(
        {"a": "{{ Event.Name }}", "{{ Event.Name }}": ["{{ 5 }}", 5, 1.5, None, True, {}, []], "plain": "x"}
    )

    assert problems == []
    assert value.render(evaluation()) == {
        "a": "N",
        "{{ Event.Name }}": ["5", 5, 1.5, None, True, {}, []],
        "plain": "x",
    }


@pytest.mark.parametrize("value", [None, 5, 1.5, True, "x", [], {}])
def test_any_json_value_can_be_compiled(value: object) -> None:
    assert compiled(value)[0].render(evaluation()) == value


def test_every_error_is_reported_with_its_path() -> None:
    _, problems = compiled(
        {"to": ["{{ 1 + }}", "x"], "a.b": "{% x %}", "in": {"deep": "{{", "4": "{{ }}"}, 'q"': "{{ }}"}
    )

    assert [problem.path for problem in problems] == [
        "command.input.to[0]",
        'command.input["a.b"]',
        "command.input.in.deep",
        'command.input.in["4"]',
        'command.input["q\\""]',
    ]
    assert str(problems[0]).startswith("command.input.to[0]: expected a value")


def test_paths_without_a_prefix_begin_with_a_key() -> None:
    assert [problem.path for problem in compiled({"a": ["{{"]}, "")[1]] == ["a[0]"]
    assert [problem.path for problem in compiled("{{", "")[1]] == [""]


def test_a_render_error_has_its_path() -> None:
    value, problems = compiled({"to": ["ok", "{{ 1 / 0 }}"]}, "steps[1].command.input")

    assert problems == []
    with pytest.raises(TemplateError) as caught:
        value.render(evaluation())
    assert caught.value.path == "steps[1].command.input.to[1]"


def test_warnings_have_their_paths() -> None:
    value, _ = compiled({"a": "{{ Evnt }}", "b": ["{{ 1 or 2 and 3 }}"]})

    warnings = list(value.iter_warnings())
    assert [warning.path for warning in warnings] == ["command.input.a", "command.input.b[0]"]
    assert str(warnings[0]).startswith("command.input.a: unknown variable 'Evnt'")


def test_rendering_does_not_change_the_document() -> None:
    document = {"a": ["{{ Context.x }}"]}
    value, _ = compiled(document)

    assert value.render(evaluation(x="1")) == {"a": ["1"]}
    assert value.render(evaluation(x="2")) == {"a": ["2"]}
    assert document == {"a": ["{{ Context.x }}"]}


def test_a_too_deeply_nested_document_is_an_error() -> None:
    document: object = "x"
    for _ in range(5000):
        document = [document]

    (problem,) = compiled(document)[1]

    assert problem.message.startswith("nested too deeply")
