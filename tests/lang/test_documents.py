"""JSON values whose strings are templates."""

import pytest

from flows.template import CompiledValue, RenderContext, TemplateError, compile_value
from tests.lang.recorded import reader

pytestmark = pytest.mark.unit


def evaluation(**context: str) -> RenderContext:
    return RenderContext({"Event": {"Name": "N"}, "Context": context}, reader({}))


def compiled(value: object, path: str = "command.input") -> tuple[CompiledValue, list[TemplateError]]:
    problems: list[TemplateError] = []
    return compile_value(value, path, problems), problems


def test_strings_are_rendered_and_all_else_stays() -> None:
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
def test_any_json_value_can_be_a_document(value: object) -> None:
    assert compiled(value)[0].render(evaluation()) == value


def test_every_error_is_found_and_has_its_path() -> None:
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
    assert str(problems[0]).startswith("command.input.to[0]: a value expected")


def test_a_document_without_a_path_begins_with_its_keys() -> None:
    assert [problem.path for problem in compiled({"a": ["{{"]}, "")[1]] == ["a[0]"]
    assert [problem.path for problem in compiled("{{", "")[1]] == [""]


def test_an_error_of_an_event_has_its_path_too() -> None:
    value, problems = compiled({"to": ["ok", "{{ 1 / 0 }}"]}, "steps[1].command.input")

    assert problems == []
    with pytest.raises(TemplateError) as caught:
        value.render(evaluation())
    assert caught.value.path == "steps[1].command.input.to[1]"


def test_warnings_have_their_paths() -> None:
    value, _ = compiled({"a": "{{ Evnt }}", "b": ["{{ 1 or 2 and 3 }}"]})

    assert [warning.path for warning in value.warnings] == ["command.input.a", "command.input.b[0]"]
    assert str(value.warnings[0]).startswith("command.input.a: nothing is called 'Evnt'")


def test_resolving_changes_nothing_in_the_document() -> None:
    document = {"a": ["{{ Context.x }}"]}
    value, _ = compiled(document)

    assert value.render(evaluation(x="1")) == {"a": ["1"]}
    assert value.render(evaluation(x="2")) == {"a": ["2"]}
    assert document == {"a": ["{{ Context.x }}"]}


def test_a_document_that_is_nested_too_deep_is_a_problem_and_not_a_crash() -> None:
    document: object = "x"
    for _ in range(5000):
        document = [document]

    (problem,) = compiled(document)[1]

    assert problem.message.startswith("nested too deep")
