"""Parsing of flow documents, and the errors of invalid ones."""

from typing import Any

import pytest

from flows.definition import FlowValidationError, parse_flow
from tests.flows import builders as b
from tests.flows.parsing import errors, one_step, warnings

pytestmark = pytest.mark.unit


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
    by_path = errors(
        {
            "nme": "x",
            "steps": [
                {"event": {"packName": "P"}, "command": {"name": "C"}, "criteria": True, "dependsOn": "s"},
                {"id": 5, "event": "E", "context": {"a": 1}},
                {"event": {"packName": "P", "name": "E"}, "command": {"packName": "Q", "name": "{{", "input": ["{{"]}},
            ],
        }
    )
    assert set(by_path) == {
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
    assert by_path["nme"] == "unknown key; did you mean name?"


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
        (one_step(command={"packName": "P", "name": "C", "timeout": True}), "steps[0].command.timeout"),
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
            one_step(command={"packName": "P", "name": "C", "timeout": 1e9}),
            "steps[0].command.timeout",
            "duration 1000000000.0 is out of range, use 1s to 366d",
        ),
        (
            one_step(command={"packName": "P", "name": "C", "timeout": "500ms"}),
            "steps[0].command.timeout",
            "duration '500ms' is out of range, use 1s to 366d",
        ),
        (
            one_step(command={"packName": "P", "name": "C", "timeout": "soon"}),
            "steps[0].command.timeout",
            "invalid duration 'soon'; use a value such as 500ms, 90s, 10m, 1h30m or 2d",
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


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_clients_remove_from_paths_is_refused_unless_it_is_stored(name: str) -> None:
    flow = b.document(b.step(id=name), name=name)
    with pytest.raises(FlowValidationError) as raised:
        parse_flow(flow)
    assert [(error.path, error.message) for error in raised.value.errors] == [
        (path, f"must not be {name!r}: clients remove this from paths") for path in ("name", "steps[0].id")
    ]
    assert parse_flow(flow, is_stored=True).name == name


@pytest.mark.parametrize("character", ["\n", "\x7f", "\x85", "\u2028"])
def test_a_name_with_a_control_character_or_line_separator_is_refused_unless_it_is_stored(character: str) -> None:
    name = f"a{character}b"
    flow = b.document(b.step(id=name), name=name)
    message = "must have at most 255 characters and no control characters"
    assert errors(flow) == {"name": message, "steps[0].id": message}
    assert parse_flow(flow, is_stored=True).name == name
    assert parse_flow(b.document(b.step(id="a"), name="a\u3000\u200d\u00adb")).name == "a\u3000\u200d\u00adb"


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


@pytest.mark.parametrize("value", ["s", 5, True, None, [], {}, 0, False, ""])
def test_an_input_of_any_type_is_stored_unchanged(value: Any) -> None:
    command = parse_flow(one_step(command={"packName": "P", "name": "C", "input": value})).document["steps"][0][
        "command"
    ]
    assert command["input"] == value
    assert type(command["input"]) is type(value)


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


WHITE_SPACE = "is never true: white space is part of the result; remove it, or write {{- ... -}} or {%- ... -%}"


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        (" {{ Event.Payload }}", WHITE_SPACE),
        ("{{ Event.Payload }} ", WHITE_SPACE),
        ("\n{{ Event.Payload }}", WHITE_SPACE),
        ("{{ Event.Payload }}\n\n", WHITE_SPACE),
        ("{% if Event.Payload %} true {% endif %}", WHITE_SPACE),
        ("{% if Event.Payload %}\ntrue\n{% else %}\nfalse\n{% endif %}", WHITE_SPACE),
        ("{% with a=Event.Payload %}{{ a }} {% endwith %}", WHITE_SPACE),
        ("{% set a = Event.Payload %} {{ a }}", WHITE_SPACE),
        (
            "{{ Event.Payload }} and {{ Event.Name }}",
            "is never true: 'and' is part of the result; put the whole condition into one {{ ... }}",
        ),
        (
            "{% if Event.Payload %}yes{% else %}no{% endif %}",
            "is never true: 'yes' is part of the result; put the whole condition into one {{ ... }}",
        ),
        ("{% set a = 1 %}", "is never true: it prints neither true nor a value"),
    ],
)
def test_criteria_that_are_never_true_are_a_warning(criteria: str, message: str) -> None:
    assert warnings(one_step(criteria=criteria))["steps[0].criteria"] == message


@pytest.mark.parametrize(
    "criteria",
    [
        "{{ Event.Payload }}", "{{ Event.Payload }}\n", "{{ true }}", "{{ 1 ==\n 1 }}", "true", "t{{ Event.Payload }}",
        "{% if Event.Payload %}true{% else %} false {% endif %}",
        "{% if Event.Payload %}\n{%- if 1 -%} true {%- endif -%}\n{% endif -%}",
        "{% if 1 %} {% endif %}true", "{% for x in Event.Payload %} {% endfor %}1",
        "{% macro m() %} {% endmacro %}{{ 1 }}",
        "{% filter cut:' ' %} true {% endfilter %}", "{# c #}{{- 1 -}}{# c #}", "{% ifequal 1 1 %}T{% endifequal %}",
        "{% set a = 1 %}{{ a }}", "{% autoescape on %}{{ Event.Payload }}{% endautoescape %}",
    ],
)  # fmt: skip
def test_criteria_that_can_be_true_give_no_warning(criteria: str) -> None:
    assert warnings(one_step(criteria=criteria)) == {}


def test_a_warning_in_criteria_of_several_lines_has_its_line() -> None:
    (warning,) = parse_flow(one_step(criteria="{{ 1 ==\n  Evnt.Payload }}")).warnings
    assert (warning.line, warning.column) == (2, 3)
