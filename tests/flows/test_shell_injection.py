"""Warnings about unquoted event text in shell commands."""

from typing import Any

import pytest

from flows.definition import FLOW_TEXT_FIELDS, parse_flow
from flows.definition.checks.shell_injection import SHELL_INJECTION_WARNING
from flyte_site.http.input.parsing import parse_yaml
from tests.flows import builders as b
from tests.flows.example_flows import EXAMPLE_FLOWS

pytestmark = pytest.mark.unit


def shell(input_value: Any, **step: Any) -> dict[str, Any]:
    return b.step(command={"packName": "Shell", "name": "Shell", "input": input_value}, **step)


def find_warnings(*steps: dict[str, Any]) -> list[tuple[str, int, int]]:
    warnings = parse_flow(b.document(*steps)).warnings
    return [
        (warning.path, warning.line, warning.column)
        for warning in warnings
        if warning.message == SHELL_INJECTION_WARNING
    ]


@pytest.mark.parametrize(
    "source",
    [
        "ls {{ Event.Payload.path }}",
        "ls '{{ Event.Payload.path }}'",
        "{{ Event.Payload }}",
        "{{ Event }}",
        "{{ Event.Payload.path|upper }}",
        "{{ Event.Payload.path|shellquote|upper }}",
        "{{ 'ls ' + Event.Payload.path }}",
        "{{ 'a'|default:Event.Payload.path }}",
        "{% for f in Event.Payload.files %}{{ f }}{% endfor %}",
        "{% set p = Event.Payload.path %}{{ p }}",
        "{% with p=Event.Payload.path %}{{ p }}{% endwith %}",
        "{% firstof Event.Payload.path 'x' %}",
        "{% if Event.Payload.n %}{{ Event.Payload.path }}{% endif %}",
        "{% filter upper %}{{ Event.Payload.path }}{% endfilter %}",
        "{{ unmarshalJson(Event.Payload.json).a }}",
        "{{ template(Event.Payload.script, Event.Payload) }}",
        "{{ datastore('teams').a + Event.Payload.path }}",
        "{{ datastore('path', Event.Payload.path) }}",
        "{{ Event.Payload.path|replace:'a':'b' }}",
        "{{ 'x'|replace:'x':Event.Payload.path }}",
        "{{ Event.Payload.json|fromjson }}",
        "{{ Event.Payload.path|b64decode }}",
        "{% for f in Event.Payload.files %}{% append f to all %}{% endfor %}{{ all|join:' ' }}",
    ],
)
def test_unquoted_event_text_gives_a_warning(source: str) -> None:
    assert [path for path, _, _ in find_warnings(shell(source))] == ["steps[0].command.input"]


@pytest.mark.parametrize(
    "source",
    [
        "ls {{ Event.Payload.path|shellquote }}",
        "ls {{ (Event.Payload.a + Event.Payload.b)|shellquote }}",
        "{{ Event.Payload.files|shellquote }}",
        "{% for f in Event.Payload.files %}{{ f|shellquote }} {% endfor %}",
        "{% filter shellquote %}{{ Event.Payload.path }}{% endfilter %}",
        "{{ Event.Payload.n|integer }} {{ Event.Payload.n|integer + 1 }} {{ Event.Payload.n * 2 }}",
        "{{ Event.Payload.n == 5 }} {{ Event.Payload.text|match:'x' }} {{ Event.Payload.text|length }}",
        "{% if Event.Payload.force %}--force{% endif %}",
        "{{ Event.CreatedAt.Unix }} {{ Event.Name }} {{ Event.Pack.Labels.env }}",
        "{{ datastore(Event.Payload.user).home }}",
        "{{ Event.Payload.path|sha256 }}",
        "{{ Event.Payload.a|version:'>1' }} {{ Event.Payload.a|duration }}",
        "{% for f in Event.Payload.files %}{% append f to all %}{% endfor %}{{ all|shellquote }}",
        "{% for n in range(Event.Payload.count) %}{{ forloop.Counter }}{% endfor %}{{ range(Event.Payload.n) }}",
        "{{ base64Encode(Event.Payload.text) }}",
        "{{ Context.Fixed }} {{ Context.Quoted }} {{ 'text' }}",
        "date",
    ],
)
def test_harmless_text_gives_no_warning(source: str) -> None:
    context = {"Fixed": "x", "Quoted": "{{ Event.Payload.path|shellquote }}"}
    assert find_warnings(shell(source, context=context)) == []


def test_event_text_in_the_context_gives_a_warning_in_later_steps() -> None:
    steps = [
        b.step(id="a", context={"One": "{{ Event.Payload.path }}", "Room": "ops"}),
        b.follower("a", id="b", context={"Two": "{{ Context.One }}.gz", "Three": "{{ Context.Room }}"}),
        shell({"command": "ls\nls {{ Context.Two }} {{ Context.Three }}"}, dependsOn=["b"]),
        shell("ls {{ Context|key:'One' }}", dependsOn=["b"]),
    ]
    assert find_warnings(*steps) == [("steps[2].command.input.command", 2, 7), ("steps[3].command.input", 1, 7)]


def test_event_text_in_the_standard_input_and_in_variables_gives_no_warning() -> None:
    data = {
        "command": 'grep -e "$WORD"',
        "stdin": {"a": ["{{ Event.Payload }}"]},
        "env": {"WORD": "{{ Event.Payload.word }}"},
    }
    assert find_warnings(shell(data)) == []
    others = dict.fromkeys(("command", "stdin-x", "environ", "timeout"), "{{ Event.Payload }}")
    assert sorted(path for path, _, _ in find_warnings(shell(others | {"a": {"stdin": "{{ Event.Payload }}"}}))) == [
        "steps[0].command.input.a.stdin",
        "steps[0].command.input.command",
        "steps[0].command.input.environ",
        "steps[0].command.input.timeout",
        'steps[0].command.input["stdin-x"]',
    ]


@pytest.mark.parametrize(
    ("pack", "command", "is_shell"),
    [("Shell", "Run", True), ("Remote", "shell", True), ("shell", "x", True), ("Slack", "SendMessage", False)],
)
def test_a_shell_is_recognized_by_the_name_of_the_pack_or_command(pack: str, command: str, is_shell: bool) -> None:
    step = b.step(command={"packName": pack, "name": command, "input": "{{ Event.Payload }}"})
    assert bool(find_warnings(step)) is is_shell


@pytest.mark.parametrize("file", EXAMPLE_FLOWS, ids=lambda file: file.name)
def test_no_example_passes_unquoted_text_to_a_shell(file: Any) -> None:
    flow = parse_flow(parse_yaml(file.read_text(), FLOW_TEXT_FIELDS))
    assert [warning for warning in flow.warnings if warning.message == SHELL_INJECTION_WARNING] == []
