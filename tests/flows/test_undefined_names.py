"""Warnings about context names that no step assigns."""

from typing import Any

import pytest

from flows.definition import FlowValidationError, parse_flow
from tests.flows import builders as b

pytestmark = pytest.mark.unit


def find_warnings(*steps: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    warnings = parse_flow(b.document(*steps)).warnings
    return [
        (warning.path, warning.message, warning.line, warning.column)
        for warning in warnings
        if "Context" in warning.message
    ]


def command(text: str) -> dict[str, Any]:
    return {"packName": "Wrk", "name": "Do", "input": {"to": text}}


def test_an_unassigned_name_gives_a_warning_with_position_and_suggestion() -> None:
    trigger = b.step(id="asked", context={"Channel": "{{ Event.Payload.channel }}"})
    dependent = b.follower("asked", command=command("so,\n{{ Context.Chanel }}{{ Context.Chanel }}"))
    message = "Context.Chanel is always empty here: no step's context sets it; did you mean Channel?"
    assert find_warnings(trigger, dependent) == [("steps[1].command.input.to", message, 2, 4)]


@pytest.mark.parametrize(
    "reads",
    [
        {"criteria": "{{ Context.No == 1 }}"},
        {"criteria": "{% if Context.No %}true{% endif %}"},
        {"context": {"A": "{{ Context.No.inner|default:'x' }}"}},
        {"event": {"packName": "Src", "name": "Go", "packLabels": {"env": "{{ Context.No }}"}}},
        {"command": {"packName": "Wrk", "name": "Do", "packLabels": {"env": "{{ Context.No }}"}}},
        {"command": command("{{ Context.No|shellquote }}")},
        {"command": command("{% for one in Context.No %}{{ one }}{% endfor %}")},
    ],
)
def test_every_template_of_a_step_is_checked(reads: dict[str, Any]) -> None:
    ((_, message, line, _),) = find_warnings(b.step(id="a", context={"Far": "x"}), b.step(dependsOn=["a"], **reads))
    assert message.startswith("Context.No is always empty here")
    assert line == 1


def test_names_of_the_step_or_of_steps_before_it_are_defined() -> None:
    trigger = b.step(
        id="asked", context={"A": "x"}, criteria="{{ Context.A == 'x' }}", command=command("{{ Context.A }}")
    )
    other = b.step(id="aside", context={"B": "y"})
    dependent = b.follower("asked", context={"C": "{{ Context.A }}"}, command=command("{{ Context.B }}{{ Context.C }}"))
    assert find_warnings(trigger, other, dependent) == []


@pytest.mark.parametrize(
    "text", ["{{ Context }}", "{% set Context = Event.Payload %}{{ Context.A }}", "{{ Event.No }}"]
)
def test_names_known_only_at_run_time_give_no_warning(text: str) -> None:
    assert find_warnings(b.step(command=command(text))) == []


def test_a_trigger_inherits_nothing_and_a_context_cannot_read_itself() -> None:
    first = b.step(id="first", context={"Mine": "{{ Context.Mine }}"}, command=command("{{ Context.Later }}"))
    later = b.follower("first", context={"Later": "x"})
    reason = "is always empty here: no earlier step sets it"
    assert [message for _, message, _, _ in find_warnings(first, later)] == [
        f"Context.Later {reason}",
        f"Context.Mine {reason}",
    ]


def test_warnings_are_listed_together_with_errors() -> None:
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(
            b.document(b.step(command=command("{{ Context.No }}"), context={"N": 5}), b.step(dependsOn=["nobody"]))
        )
    assert {issue.path for issue in caught.value.errors} == {"steps[0].context.N", "steps[1].dependsOn[0]"}
    assert [issue.path for issue in caught.value.definition.warnings] == ["steps[0].command.input.to"]
