"""Outlines of flow documents of any shape, and the rules of dependencies that they share with definitions."""

import pytest

from flows.definition import FlowOutline, FlowValidationError, parse_flow, read_outline
from flows.definition.types import StepDependencies

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "document",
    [None, 3, "text", [], {}, {"steps": None}, {"steps": {}}, {"name": None, "steps": "text"}],
)
def test_a_document_without_steps_has_an_empty_outline(document: object) -> None:
    assert read_outline(document).steps == ()


def test_values_of_a_wrong_type_count_as_missing() -> None:
    wrong: dict[str, object] = {
        "id": [],
        "event": [],
        "command": None,
        "criteria": {},
        "context": [],
        "dependsOn": "a",
        "dependsOnMode": 1,
    }
    first, second = read_outline({"steps": [wrong, 7]}).steps

    assert (first.id, second.id) == ("step-1", "step-2")
    assert first.event is None
    assert first.command.full_name == "?.?"
    assert (first.criteria, first.context_names, first.depends_on, first.depends_on_mode) == ("", (), (), "any")


def test_an_outline_has_the_step_ids_names_and_dependencies_of_the_definition() -> None:
    part = {"packName": "Src", "name": "Go"}
    document = {
        "name": "flow",
        "steps": [
            {"event": part, "command": part, "context": {"room": "a"}},
            {"id": "", "event": part, "command": part},
            {"id": "last", "event": part, "command": part, "dependsOn": ["step-1", "step-2"], "dependsOnMode": "all"},
        ],
    }
    outline, definition = read_outline(document), parse_flow(document)

    assert [step.id for step in outline.steps] == [step.id for step in definition.steps] == ["step-1", "step-2", "last"]
    assert [step.has_default_id for step in outline.steps] == [True, True, False]
    for step, parsed_step in zip(outline.steps, definition.steps, strict=True):
        assert step.event is not None
        assert step.event.full_name == parsed_step.event.full_name == "Src.Go"
        assert (step.depends_on, step.depends_on_mode) == (parsed_step.depends_on, parsed_step.depends_on_mode)
        assert set(step.context_names) == parsed_step.context_names
    assert outline.get_step("last") is outline.steps[2]
    assert outline.get_step("other") is None


def test_an_invalid_document_has_an_outline() -> None:
    document = {"name": "flow", "steps": [{"id": "a", "labels": {}, "criteria": "{{ 1 +", "event": {"name": "Go"}}]}

    with pytest.raises(FlowValidationError):
        parse_flow(document)
    assert [(step.id, step.criteria) for step in read_outline(document).steps] == [("a", "{{ 1 +")]


def test_steps_beyond_the_limit_are_counted() -> None:
    outline = read_outline({"steps": [{}, {}, {}]})

    assert [step.id for step in outline.limit_steps(2).steps] == ["step-1", "step-2"]
    assert outline.limit_steps(2).omitted_steps == 1
    assert outline.limit_steps(3) == FlowOutline("", outline.steps)


@pytest.mark.parametrize(
    ("mode", "finished", "are_met", "text"),
    [
        ("any", [], False, "a or b"),
        ("any", ["b"], True, "a or b"),
        ("all", ["b"], False, "a and b"),
        ("all", ["b", "c", "a"], True, "a and b"),
    ],
)
def test_dependencies_are_met_and_described_by_their_mode(
    mode: str, finished: list[str], are_met: bool, text: str
) -> None:
    step = StepDependencies(depends_on=("a", "b", "a"), depends_on_mode="all" if mode == "all" else "any")

    assert step.are_dependencies_met(finished) is are_met
    assert step.describe_dependencies() == text
    assert not step.is_trigger


def test_a_trigger_has_no_dependencies_to_wait_for() -> None:
    trigger = StepDependencies()

    assert trigger.is_trigger
    assert trigger.are_dependencies_met([])
    assert trigger.describe_dependencies() == ""
