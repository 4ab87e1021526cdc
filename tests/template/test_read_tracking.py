"""Read tracking: the recorded lookups, and the unchanged output."""

from typing import Any

import pytest

from flows.template import RenderContext, TemplateError, compile_template, compile_value
from tests.template import recorded

pytestmark = pytest.mark.unit

VARIABLES: dict[str, Any] = {
    "Event": {"Payload": {"n": 5, "list": [{"a": 1}, {"a": 2}], "text": "Hi"}},
    "Context": {"A": "yes"},
}


def seen(source: str) -> dict[str, object]:
    evaluation = RenderContext(dict(VARIABLES), lambda key: {"x": key})
    compile_template(source).with_read_tracking().render(evaluation)
    return evaluation.tracked_reads


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ Event.Payload.n == 5 }}", {"Event.Payload.n": 5}),
        ("{{ Event.Payload.text|lower }}", {"Event.Payload.text": "Hi"}),
        ("{{ Event.Payload.list.1.a }}", {"Event.Payload.list.1.a": 2}),
        ("{{ Context.A == 'no' and Context.B == 'x' }}", {"Context.A": "yes"}),
        ("{{ Context.B }}{{ Evnt.Name }}", {"Context.B": None, "Evnt.Name": None}),
        ("{{ datastore('k').x }}", {"datastore('k').x": "k"}),
        ("{{ datastore(Context.A).x }}", {"Context.A": "yes", "datastore(Context.A).x": "yes"}),
        ("{% if Event.Payload.n > 1 %}y{% endif %}", {"Event.Payload.n": 5}),
        ("{% set m = Context.A %}{{ m }}", {"Context.A": "yes"}),
        ("{% for e in Event.Payload.list %}{{ e.a }}{% endfor %}", {"Event.Payload.list": [{"a": 1}, {"a": 2}]}),
        ("plain", {}),
        ("{{ 'a' == 'b' }}", {}),
    ],
)
def test_lookups_are_recorded_by_their_source_text(source: str, expected: dict[str, object]) -> None:
    assert seen(source) == expected


def test_the_first_twenty_lookups_are_recorded() -> None:
    assert len(seen("".join(f"{{{{ Context.A{number} }}}}" for number in range(30)))) == 20


@pytest.mark.parametrize(
    "case",
    [case for case in recorded.CASES if isinstance(case.template, str) and not case.shape_only],
    ids=str,
)
def test_read_tracking_does_not_change_the_output(case: recorded.Case) -> None:
    def rendered(watching: bool) -> str:
        evaluation = RenderContext(dict(case.variables), recorded.reader(case.datastore))
        try:
            template = compile_template(case.text)
            return (template.with_read_tracking() if watching else template).render(evaluation)
        except TemplateError as error:
            return str(error)

    assert rendered(True) == rendered(False)


def test_errors_can_be_collected_while_other_strings_render() -> None:
    compiled = compile_value({"a": "{{ Context.A }}", "b": ["{{ Event.Payload.n.x }}", "{{ 1 }}"]}, "input", [])
    evaluation = RenderContext(dict(VARIABLES), recorded.reader({}))
    evaluation.collected_errors = []
    assert compiled.render(evaluation) == {"a": "yes", "b": [None, "1"]}
    assert [error.path for error in evaluation.collected_errors] == ["input.b[0]"]
