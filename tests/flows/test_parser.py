"""Parsing of flow documents, and the errors of invalid ones."""

from typing import Any

import pytest

from flows.definition import FlowValidationError, parse_flow
from tests.flows import builders as b

pytestmark = pytest.mark.unit


def errors(value: Any) -> dict[str, str]:
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(value)
    return {error.path: error.message for error in caught.value.errors}


def warnings(value: Any) -> dict[str, str]:
    return {warning.path: warning.message for warning in parse_flow(value).warnings}


def one_step(**changes: Any) -> dict[str, Any]:
    return b.document(b.step(**changes))


def test_a_complete_document_is_parsed_to_typed_values() -> None:
    command = {"packName": "Q", "name": "C", "timeout": "1h30m", "retries": 2, "backoff": 1.5, "input": {"a": 1}}
    flow = parse_flow(
        b.document(
            b.step(id="a", context={"X": "{{ Event.Payload }}"}, criteria="{{ true }}"),
            b.step(dependsOn=["a"], dependsOnMode="all", command=command),
            description="what for",
            labels={"env": "dev"},
            enabled=False,
        )
    )
    first, second = flow.steps
    assert (flow.name, flow.description, flow.labels, flow.enabled) == ("flow", "what for", {"env": "dev"}, False)
    assert (first.id, first.is_trigger, first.event.pack_name, first.event.name) == ("a", True, "Src", "Go")
    assert (second.id, second.depends_on, second.depends_on_mode) == ("step-2", ("a",), "all")
    assert (second.command.timeout, second.command.retries, second.command.backoff) == (5400, 2, 1.5)


def test_every_error_is_reported_at_once_with_its_path() -> None:
    found = errors(
        {
            "nme": "x",
            "steps": [
                {"event": {"packName": "P"}, "command": {"name": "C"}, "criteria": True, "dependsOn": "s"},
                {"id": 5, "event": "E", "context": {"a": 1}},
                {"event": {"packName": "P", "name": "E"}, "command": {"packName": "Q", "name": "{{", "input": ["{{"]}},
            ],
        }
    )
    assert set(found) == {
        "nme",
        "steps[0].event.name",
        "steps[0].command.packName",
        "steps[0].criteria",
        "steps[0].dependsOn",
        "steps[1].id",
        "steps[1].event",
        "steps[1].command",
        "steps[1].context.a",
        "steps[2].command.input[0]",
    }
    assert found["nme"] == "unknown key; did you mean name?"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ""),
        ([], ""),
        ("text", ""),
        ({}, "name"),
        ({"name": "x"}, "steps"),
        ({"name": "x", "steps": None}, "steps"),
        ({"name": "x", "steps": {}}, "steps"),
        ({"name": "", "steps": []}, "name"),
        ({"name": 5, "steps": []}, "name"),
        ({"name": "a\nb", "steps": []}, "name"),
        ({"name": "x" * 256, "steps": []}, "name"),
        ({"name": "x", "steps": [], "description": "a\x00b"}, "description"),
        ({"name": "x", "steps": ["s"]}, "steps[0]"),
        ({"name": "x", "steps": [], "enabled": "yes"}, "enabled"),
        ({"name": "x", "steps": [], "labels": ["a"]}, "labels"),
        ({"name": "x", "steps": [], "labels": {"a": 1}}, "labels.a"),
        (one_step(context=[]), "steps[0].context"),
        (one_step(dependsOn=[1]), "steps[0].dependsOn[0]"),
        (one_step(dependsOnMode="some"), "steps[0].dependsOnMode"),
        (one_step(junk=1), "steps[0].junk"),
        (one_step(event={"packName": "P", "name": "E", "packLabels": {"a": 1}}), "steps[0].event.packLabels.a"),
        (one_step(command={"packName": "P", "name": "C", "timeout": "soon"}), "steps[0].command.timeout"),
        (one_step(command={"packName": "P", "name": "C", "timeout": 30}), "steps[0].command.timeout"),
        (one_step(command={"packName": "P", "name": "C", "timeout": "0s"}), "steps[0].command.timeout"),
        (one_step(command={"packName": "P", "name": "C", "retries": -1}), "steps[0].command.retries"),
        (one_step(command={"packName": "P", "name": "C", "retries": 1.5}), "steps[0].command.retries"),
        (one_step(command={"packName": "P", "name": "C", "retries": True}), "steps[0].command.retries"),
        (one_step(command={"packName": "P", "name": "C", "backoff": "1"}), "steps[0].command.backoff"),
    ],
)
def test_an_error_has_its_path(value: Any, path: str) -> None:
    assert path in errors(value)


@pytest.mark.parametrize(
    ("place", "key", "today"),
    [
        ("event", "pack-id", "packName"),
        ("command", "pack-id", "packName"),
        ("command", "command-name", "name"),
        ("command", "arguments", "input"),
    ],
)
def test_an_old_spelling_is_one_error_that_names_the_current_one(place: str, key: str, today: str) -> None:
    part = {"packName": "P", "name": "N"}
    old = {key: part.pop(today, "x"), **part}
    assert errors(one_step(**{place: old})) == {f"steps[0].{place}.{key}": f"unknown key; renamed to {today}"}


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
    ("value", "path", "message"),
    [
        ({**one_step(), "enabled": "maybe"}, "enabled", "must be true or false, not 'maybe'"),
        ({**one_step(), "enabled": 1}, "enabled", "must be true or false, not 1"),
        (
            one_step(command={"packName": "P", "name": "C", "retries": 200}),
            "steps[0].command.retries",
            "must be a whole number from 0 to 100, not 200",
        ),
        (
            one_step(command={"packName": "P", "name": "C", "timeout": 200}),
            "steps[0].command.timeout",
            "must be a duration such as 30s, 10m or 1h30m, at most a year, not 200",
        ),
        (
            one_step(command={"packName": "P", "name": "C", "backoff": True}),
            "steps[0].command.backoff",
            "must be a number from 0 to 86400, not true",
        ),
    ],
)
def test_an_error_of_a_value_quotes_text_and_leaves_numbers_bare(value: Any, path: str, message: str) -> None:
    assert errors(value)[path] == message


@pytest.mark.parametrize(
    ("key", "suggestion"), [("packlabels", "packLabels"), ("PackName", "packName"), ("packLabel", "packLabels")]
)
def test_a_misspelt_key_gets_a_suggestion(key: str, suggestion: str) -> None:
    event = {"packName": "P", "name": "E", key: {}}
    assert errors(one_step(event=event))[f"steps[0].event.{key}"] == f"unknown key; did you mean {suggestion}?"


@pytest.mark.parametrize(("place", "key"), [("command", "comand"), ("event", "evnt")])
def test_a_misspelt_part_of_a_step_is_one_error(place: str, key: str) -> None:
    value = one_step(**{key: {"packName": "P", "name": "N"}})
    del value["steps"][0][place]
    assert errors(value) == {f"steps[0].{key}": f"unknown key; did you mean {place}?"}


@pytest.mark.parametrize(
    ("path", "key", "meant"),
    [
        ("", "nme", "name"),
        ("", "step", "steps"),
        ("steps[0].event", "nam", "name"),
        ("steps[0].event", "packname", "packName"),
        ("steps[0].command", "pack_name", "packName"),
    ],
)
def test_a_misspelt_key_is_one_error(path: str, key: str, meant: str) -> None:
    value = one_step()
    part = value["steps"][0][path.split(".")[-1]] if path else value
    part[key] = part.pop(meant)
    assert errors(value) == {f"{path}.{key}".lstrip("."): f"unknown key; did you mean {meant}?"}


def test_errors_below_a_misspelt_key_are_reported_too() -> None:
    value = {**one_step(), "nme": 5}
    del value["name"]
    assert errors(value) == {
        "nme": "unknown key; did you mean name?",
        "name": "must be non-empty text, not a number",
    }


def test_a_correct_part_is_preferred_to_a_misspelt_one() -> None:
    value = one_step(comand={"packName": "P"})
    assert errors(value) == {"steps[0].comand": "unknown key; did you mean command?"}


def test_labels_inside_an_event_or_command_count_as_pack_labels_with_a_warning() -> None:
    value = one_step(event={"packName": "P", "name": "E", "labels": {"env": "x"}})
    assert set(warnings(value)) == {"steps[0].event.labels"}
    assert parse_flow(value).document["steps"][0]["event"] == {"packName": "P", "name": "E", "packLabels": {"env": "x"}}


def test_a_flow_can_be_posted_with_the_servers_links() -> None:
    value = b.document(b.step(), links=[{"href": "http://h", "rel": "self"}])
    assert set(warnings(value)) == {"links"}
    assert "links" not in parse_flow(value).document


def test_labels_together_with_pack_labels_are_an_error() -> None:
    both = {"packName": "P", "name": "E", "labels": {"a": "b"}, "packLabels": {"c": "d"}}
    assert "steps[0].event.labels" in errors(one_step(event=both))


def test_step_ids_are_unique_including_default_ones() -> None:
    assert set(errors(b.document(b.step(id="a"), b.step(id="a")))) == {"steps[1].id"}
    assert set(errors(b.document(b.step(id="step-2"), b.step()))) == {"steps[1].id"}


def test_depends_on_an_unknown_step_is_an_error_with_a_suggestion() -> None:
    found = errors(b.document(b.step(id="build"), b.follower("biuld", id="b")))
    assert found["steps[1].dependsOn[0]"] == "unknown step 'biuld'; did you mean build?"


@pytest.mark.parametrize(
    "steps",
    [
        [b.follower("a", id="a")],
        [b.follower("b", id="a"), b.follower("a", id="b")],
        [b.step(id="t"), b.follower(["t", "c"], id="b", dependsOnMode="all"), b.follower("b", id="c")],
    ],
)
def test_a_step_that_can_never_fire_is_an_error(steps: list[dict[str, Any]]) -> None:
    found = errors(b.document(*steps))
    assert found
    assert all("can never fire" in message for message in found.values())


def test_a_reachable_cycle_is_a_warning() -> None:
    found = warnings(b.document(b.step(id="t"), b.follower(["t", "c"], id="b"), b.follower("b", id="c")))
    assert set(found) == {"steps[1].dependsOn", "steps[2].dependsOn"}


def test_a_template_error_has_line_and_column() -> None:
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(one_step(criteria="line one\n{{ 1 | nope }}"))
    (error,) = caught.value.errors
    assert (error.path, error.line) == ("steps[0].criteria", 2)
    assert error.column > 1
    assert "nope" in error.message


def test_a_misspelt_variable_is_a_warning_with_its_path() -> None:
    assert "steps[0].criteria" in warnings(one_step(criteria="{{ Evnt.Payload == 1 }}"))


def test_the_stored_document_omits_empty_values_except_inputs() -> None:
    value = b.document(
        b.step(criteria="", context={}, dependsOn=[], event={"packName": "P", "name": "E", "packLabels": {}}),
        description="",
        labels={},
    )
    assert parse_flow(value).document == {
        "name": "flow",
        "steps": [
            {"event": {"packName": "P", "name": "E"}, "command": {"packName": "Wrk", "name": "Do", "input": None}}
        ],
    }


@pytest.mark.parametrize("given", ["s", 5, True, None, [], {}, 0, False, ""])
def test_an_input_of_any_type_is_stored_unchanged(given: Any) -> None:
    command = parse_flow(one_step(command={"packName": "P", "name": "C", "input": given})).document["steps"][0][
        "command"
    ]
    assert command["input"] == given
    assert type(command["input"]) is type(given)


def test_a_stored_document_parses_to_the_same_flow() -> None:
    value = b.document(b.step(id="a"), b.follower("a", dependsOnMode="all"), labels={"x": "y"})
    first = parse_flow(value)
    assert parse_flow(first.document).document == first.document


def test_criteria_can_have_several_lines_and_errors_keep_their_positions() -> None:
    assert parse_flow(one_step(criteria="{{ 1 ==\n 1 }}\n")).steps[0].criteria is not None
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(one_step(criteria="{{ 1 ==\n  nope(1)|nope }}"))
    (error,) = caught.value.errors
    assert (error.line, error.column > 2) == (2, True)
