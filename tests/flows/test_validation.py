"""Validation of parsed flows: keys, step ids and dependencies."""

from typing import Any

import pytest

from flows.definition import FlowValidationError, parse_flow
from tests.flows import builders as b
from tests.flows.parsing import errors, one_step, warnings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("part_name", "key", "current"),
    [
        ("event", "pack-id", "packName"),
        ("command", "pack-id", "packName"),
        ("command", "command-name", "name"),
        ("command", "arguments", "input"),
    ],
)
def test_an_old_spelling_is_one_error_that_names_the_current_one(part_name: str, key: str, current: str) -> None:
    part = {"packName": "P", "name": "N"}
    old = {key: part.pop(current, "x"), **part}
    assert errors(one_step(**{part_name: old})) == {f"steps[0].{part_name}.{key}": f"unknown key; renamed to {current}"}


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("pack-id", "belongs in event or command, as packName"),
        ("packName", "belongs in event or command"),
        ("event-name", "belongs in event, as name"),
        ("command-name", "belongs in command, as name"),
        ("arguments", "belongs in command, as input"),
        ("timeout", "belongs in command"),
        ("depends-on", "renamed to dependsOn"),
    ],
)
def test_a_key_of_an_event_or_command_directly_in_a_step_is_an_error_that_says_where_it_belongs(
    key: str, suggestion: str
) -> None:
    assert errors(one_step(**{key: []}))[f"steps[0].{key}"] == f"unknown key; {suggestion}"


@pytest.mark.parametrize(
    ("key", "suggestion"), [("packlabels", "packLabels"), ("PackName", "packName"), ("packLabel", "packLabels")]
)
def test_a_misspelt_key_gets_a_suggestion(key: str, suggestion: str) -> None:
    event = {"packName": "P", "name": "E", key: {}}
    assert errors(one_step(event=event))[f"steps[0].event.{key}"] == f"unknown key; did you mean {suggestion}?"


@pytest.mark.parametrize(("part_name", "key"), [("command", "comand"), ("event", "evnt")])
def test_a_misspelt_part_of_a_step_is_one_error(part_name: str, key: str) -> None:
    value = one_step(**{key: {"packName": "P", "name": "N"}})
    del value["steps"][0][part_name]
    assert errors(value) == {f"steps[0].{key}": f"unknown key; did you mean {part_name}?"}


@pytest.mark.parametrize(
    ("path", "key", "correct"),
    [
        ("", "nme", "name"),
        ("", "step", "steps"),
        ("steps[0].event", "nam", "name"),
        ("steps[0].event", "packname", "packName"),
        ("steps[0].command", "pack_name", "packName"),
    ],
)
def test_a_misspelt_key_is_one_error(path: str, key: str, correct: str) -> None:
    value = one_step()
    part = value["steps"][0][path.split(".")[-1]] if path else value
    part[key] = part.pop(correct)
    assert errors(value) == {f"{path}.{key}".lstrip("."): f"unknown key; did you mean {correct}?"}


def test_errors_below_a_misspelt_key_are_reported_too() -> None:
    value = {**one_step(), "nme": 5}
    del value["name"]
    assert errors(value) == {
        "nme": "unknown key; did you mean name?",
        "name": "must be non-empty text, not 5",
    }


def test_step_ids_are_unique_including_default_ones() -> None:
    assert set(errors(b.document(b.step(id="a"), b.step(id="a")))) == {"steps[1].id"}
    assert set(errors(b.document(b.step(id="step-2"), b.step()))) == {"steps[1].id"}


def test_depends_on_an_unknown_step_is_an_error_with_a_suggestion() -> None:
    by_path = errors(b.document(b.step(id="build"), b.follower("biuld", id="b")))
    assert by_path["steps[1].dependsOn[0]"] == "unknown step 'biuld'; did you mean build?"


def test_an_unknown_key_or_step_without_a_similar_name_lists_the_known_ones() -> None:
    by_path = errors(b.document(b.step(id="a"), b.follower("zzz", id="b"), colour="red"))
    assert by_path["steps[1].dependsOn[0]"] == "unknown step 'zzz'; use one of: a, b"
    assert by_path["colour"] == "unknown key; use one of: name, description, labels, enabled, steps"


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"steps": 7}, {"steps": "must be a list of steps, not 7"}),
        ({"steps": [7]}, {"steps[0]": "must be a mapping, not 7"}),
        (
            {"steps": [b.step(id="a"), b.follower("a", id="b"), b.follower("b", id="a")]},
            {"steps[2].id": "duplicate step id 'a': already used by steps[0]"},
        ),
        (
            {"steps": [b.step(id=7), b.step(id=8)]},
            {f"steps[{index}].id": f"must be non-empty text, not {index + 7}" for index in (0, 1)},
        ),
        (
            {"steps": [b.step(id="a", context={"X": "1"}), b.step(id="b", dependsOn="a", criteria="{{ Context.X }}")]},
            {"steps[1].dependsOn": "must be a list of step ids, not 'a'"},
        ),
        (
            {"steps": [b.step(id="a", context=7), b.follower("a", id="b", criteria="{{ Context.X }}")]},
            {"steps[0].context": "must be a mapping of names to text, not 7"},
        ),
        (
            {"steps": [b.step(id="a"), b.follower("gone", id="b"), b.follower("b", id="c")]},
            {"steps[1].dependsOn[0]": "unknown step 'gone'; use one of: a, b, c"},
        ),
    ],
)
def test_an_invalid_value_is_one_error_and_has_no_consequences(
    changes: dict[str, Any], messages: dict[str, str]
) -> None:
    value = {**one_step(), **changes}
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(value)
    assert {error.path: error.message for error in caught.value.errors} == messages
    assert caught.value.definition.warnings == ()


@pytest.mark.parametrize(
    "steps",
    [
        [b.follower("a", id="a")],
        [b.follower("b", id="a"), b.follower("a", id="b")],
        [b.step(id="t"), b.follower(["t", "c"], id="b", dependsOnMode="all"), b.follower("b", id="c")],
    ],
)
def test_a_step_that_can_never_fire_is_an_error(steps: list[dict[str, Any]]) -> None:
    by_path = errors(b.document(*steps))
    assert by_path
    assert all("can never fire" in message for message in by_path.values())


def test_a_reachable_cycle_is_a_warning() -> None:
    by_path = warnings(b.document(b.step(id="t"), b.follower(["t", "c"], id="b"), b.follower("b", id="c")))
    assert set(by_path) == {"steps[1].dependsOn", "steps[2].dependsOn"}
