"""State shared by the templates of one step."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flows.template import RenderContext, TemplateError, compile_template

pytestmark = pytest.mark.unit


class Datastore:
    """A datastore that counts reads by key."""

    def __init__(self, items: dict[str, object]) -> None:
        self.items = items
        self.keys_read: list[str] = []

    def __call__(self, key: str) -> object:
        self.keys_read.append(key)
        if key not in self.items:
            raise LookupError(f"datastore item '{key}' does not exist")
        return self.items[key]


def render(source: str, evaluation: RenderContext) -> str:
    return compile_template(source).render(evaluation)


def with_event(**event: Any) -> RenderContext:
    return RenderContext({"Event": event, "Context": {}}, Datastore({}))


def test_a_datastore_key_loses_a_line_break_at_its_end() -> None:
    render_context = RenderContext({"Context": {"k": "team\n", "blank": " team "}}, lambda key: f"<{key}>")

    output = compile_template("{{ datastore(Context.k) }}{{ datastore(Context.blank) }}").render(render_context)

    assert output == "<team>< team >"


def test_each_datastore_key_is_read_at_most_once_in_a_step() -> None:
    store = Datastore({"a": {"b": "c"}})
    evaluation = RenderContext({"Context": {}}, store)

    assert render("{{ datastore('a').b }}{{ datastore('a').b }}", evaluation) == "cc"
    assert render("{{ template(\"{{ datastore('a').b }}\", Context) }}", evaluation) == "c"
    assert store.keys_read == ["a"]


def test_a_missing_datastore_key_is_read_once_and_its_error_repeated() -> None:
    store = Datastore({})
    evaluation = RenderContext({}, store)

    for _ in range(2):
        with pytest.raises(TemplateError) as caught:
            render("a {{ datastore('x') }}", evaluation)
        assert (caught.value.message, caught.value.column) == ("datastore item 'x' does not exist", 6)
    assert store.keys_read == ["x"]


def test_a_datastore_failure_is_not_a_template_error() -> None:
    def broken(key: str) -> object:
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):
        render("{{ datastore('x') }}", RenderContext({}, broken))


def test_variables_may_be_changed_between_renders() -> None:
    evaluation = RenderContext({"Context": {"a": "1"}}, Datastore({}))
    assert render("{{ Context.a }}{{ Event.Name }}", evaluation) == "1"

    evaluation.variables["Context"] = {"a": "2"}
    evaluation.variables["Event"] = {"Name": "N"}
    assert render("{{ Context.a }}{{ Event.Name }}", evaluation) == "2N"

    evaluation.variables["Event"]["Name"] = "M"
    assert render("{{ Event.Name }}", evaluation) == "M"


def test_templates_do_not_change_variables() -> None:
    event = {"Payload": {"l": [2, 1]}, "CreatedAt": "2019-05-06T07:08:09Z"}
    evaluation = RenderContext({"Event": event}, Datastore({}))

    render("{% set Event = 1 %}{{ Event }}{% set other = 2 %}", evaluation)
    render("{% for x in Event.Payload.l reversed sorted %}{{ x }}{% endfor %}", evaluation)

    assert event == {"Payload": {"l": [2, 1]}, "CreatedAt": "2019-05-06T07:08:09Z"}
    assert list(evaluation.variables) == ["Event"]


@pytest.mark.parametrize(
    ("moment", "printed"),
    [
        ("2019-05-06T07:08:09.123456Z", "2019-05-06 07:08:09.123456 +0000 UTC"),
        ("2019-05-06T07:08:09+02:00", "2019-05-06 07:08:09 +0200 +0200"),
        (datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC), "2019-05-06 07:08:09 +0000 UTC"),
        (datetime(2019, 5, 6, 7, 8, 9), "2019-05-06 07:08:09 +0000 UTC"),
        (datetime(2019, 5, 6, tzinfo=timezone(timedelta(hours=-3))), "2019-05-06 00:00:00 -0300 -0300"),
        ("soon", "soon"),
    ],
)
def test_an_events_times_may_be_times_or_texts(moment: object, printed: str) -> None:
    assert render("{{ Event.CreatedAt }}", with_event(CreatedAt=moment)) == printed


def test_times_in_the_payload_stay_text() -> None:
    evaluation = with_event(Payload={"CreatedAt": "2019-05-06T07:08:09Z"})

    assert render("{{ Event.Payload.CreatedAt }}", evaluation) == "2019-05-06T07:08:09Z"


def test_the_event_prints_as_json_with_its_times() -> None:
    evaluation = with_event(Name="N", Pack={"Id": "P"}, CreatedAt=datetime(2019, 5, 6, tzinfo=UTC))

    assert render("{{ Event }}", evaluation) == '{"Name":"N","Pack":{"Id":"P"},"CreatedAt":"2019-05-06T00:00:00Z"}'


@pytest.mark.parametrize("event", [None, 5, "text", [1]])
def test_an_event_can_be_any_value(event: object) -> None:
    assert render("{{ Event }}", RenderContext({"Event": event}, Datastore({}))) in ("", "5", "text", "[1]")


def test_template_sees_only_the_variables_passed_to_it() -> None:
    evaluation = RenderContext({"Event": {"Payload": {"Event": {"Name": "inner"}}}, "Context": {}}, Datastore({}))

    assert render("{% set a = 1 %}{{ template('{{ a }}{{ Event.Name }}', Event.Payload) }}", evaluation) == "inner"


@pytest.mark.parametrize("context", ["none", "5", "'a'", "Event", "Event.Payload.l", "Event.Payload"])
def test_template_needs_a_map_of_names(context: str) -> None:
    evaluation = with_event(Payload={"l": [], "my-key": 1})

    with pytest.raises(TemplateError):
        render(f"{{{{ template('', {context}) }}}}", evaluation)
