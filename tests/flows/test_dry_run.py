"""Dry runs: the same outcomes as real runs, without effects."""

import random
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from django.test import override_settings

from datastore.models import Item
from flows.definition import parse_flow, store
from flows.engine.complete import complete_action
from flows.engine.handle_event import handle_event
from flows.engine.step import MASKED_ERROR, MASKED_WARNING, IncomingEvent
from flows.models import Event as EventRow
from flows.models import Execution, Flow, FlowVersion
from flows.simulate.dry_run import DryRun, SimulatedResult, dry_run_flow
from flyte_site.http.input.parsing import parse_yaml
from packs.models import Action, Pack
from packs.queue.results import ResultStatus
from packs.queue.take import take
from tests.flows import builders as b
from tests.flows.example_runs import EXAMPLE_RUNS
from tests.server import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

Results = dict[str, SimulatedResult]


class FiredStep(NamedTuple):
    """A step that fired: all fields of its action except ids and times."""

    command: tuple[str, str]
    labels: dict[str, str]
    input: Any
    context: dict[str, str]
    cause: str
    trigger: tuple[str, Any]
    options: tuple[int | None, int, float]


def describe(action: Action, cause: str) -> FiredStep:
    trigger = (action.trigger["event"], action.trigger.get("payload"))
    options = (action.timeout, action.retries, action.backoff)
    command = (action.pack_name, action.name)
    return FiredStep(command, action.pack_labels, action.input, action.context, cause, trigger, options)


def run_for_real(
    flow: Mapping[str, Any], event: IncomingEvent, results: Results
) -> tuple[dict[str, FiredStep], list[dict[str, Any]]]:
    """Run the flow; return the fired steps by id, and the outcome of each evaluation of a step."""
    store.save_flow(parse_flow(flow))
    before = set(EventRow.objects.values_list("id", flat=True))
    handle_event(event)
    execution = Execution.objects.filter(flow_name=flow["name"]).order_by("-id").first()
    open_results = dict(results)
    while execution and (step_id := next((key for key in open_results if key in b.actions(execution)), None)):
        give(b.actions(execution)[step_id], open_results.pop(step_id))
    fired = b.actions(execution) if execution else {}
    by_id = {action.id: action.step_id for action in fired.values()}
    rows = EventRow.objects.exclude(id__in=before).order_by("id")
    outcomes = [outcome for row in rows for outcome in row.outcomes]
    own_outcomes = [item for item in outcomes if not execution or item.get("correlationId") == execution.id]
    evaluations = [step for outcome in own_outcomes for step in outcome["steps"]]
    return {step: describe(action, by_id.get(action.triggered_by, "")) for step, action in fired.items()}, evaluations


def give(action: Action, result: SimulatedResult) -> None:
    pack = b.pack(action.pack_name, **action.pack_labels)
    while take(pack):
        pass
    assert complete_action(action.id, pack, b.event(pack, result.name, result.payload), 1) is ResultStatus.ACCEPTED


def run_dry(
    flow: Mapping[str, Any], event: IncomingEvent, results: Results
) -> tuple[dict[str, FiredStep], list[dict[str, Any]]]:
    done = dry_run_flow(parse_flow(flow), event, results)
    by_id = {action.id: action.step_id for action in done.actions.values()}
    fired = {step: describe(action, by_id.get(action.triggered_by, "")) for step, action in done.actions.items()}
    return fired, [evaluation.outcome.to_json() for evaluation in done.evaluations]


def compare_runs(flow: Mapping[str, Any], event: IncomingEvent, results: Results) -> dict[str, FiredStep]:
    """Check that dry run and run have the same outcome, and return the fired steps."""
    dry = run_dry(flow, event, results)
    assert not Flow.objects.filter(name=flow["name"]).exists()
    real = run_for_real(flow, event, results)
    assert dry[0] == real[0]
    assert by_step(dry[1]) == by_step(real[1])
    return dry[0]


def by_step(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(evaluations, key=lambda evaluation: str(evaluation["stepId"]))


def example(name: str) -> Any:
    file = ROOT / "examples" / ("quickstart.yaml" if name == "date" else f"flows/{name}")
    return parse_yaml(file.read_text(encoding="utf-8"))


@pytest.fixture
def items() -> None:
    for key in ("teams", "duty", "operators"):
        value = (ROOT / f"examples/data/{key}.json").read_bytes()
        Item.objects.create(key=key, value=value, content_type="application/json")


@pytest.mark.usefixtures("items")
@pytest.mark.parametrize("name", EXAMPLE_RUNS)
def test_a_dry_run_of_an_example_equals_its_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda limit: limit - 1)
    monkeypatch.setattr(secrets, "choice", lambda letters: letters[0])
    (pack, labels, event_name, payload), results = EXAMPLE_RUNS[name]
    flow = example(name)
    event = b.event(b.pack(pack, **labels), event_name, payload)
    step_ids = {step["id"] for step in flow["steps"]}
    fired = compare_runs(
        flow, event, {step: SimulatedResult(*result) for step, result in results.items() if step in step_ids}
    )
    assert set(fired) >= {step for step in results if step in step_ids}


def test_the_table_has_every_example() -> None:
    files = {path.name for path in (ROOT / "examples/flows").iterdir() if "steps" in parse_yaml(path.read_text())}
    assert files | {"date"} == set(EXAMPLE_RUNS)


TEMPLATES = [
    "{{ Event.Payload.n }}",
    "{{ Context.A }}{{ Context.B }}",
    "{{ datastore('none') }}",
    "{{ Event.Payload.n.x }}",
    "{{ Event.Name }} of {{ Event.Pack.Name }}",
    "plain",
]
CRITERIA = ["{{ Event.Payload.n > 1 }}", "true", "{{ Context.A == '1' }}", "maybe", "{{ Event.Payload.n|integer < 2 }}"]


def random_flow(chance: random.Random) -> dict[str, Any]:
    """Build a flow of two to seven steps with random dependencies, possibly cyclic."""
    ids = [f"s{number}" for number in range(chance.randint(2, 7))]
    steps = []
    for number, step_id in enumerate(ids):
        step: dict[str, Any] = {"id": step_id, "event": {"packName": "Src", "name": "Go"}}
        step["command"] = {"packName": "Wrk", "name": f"Do {number}", "input": [chance.choice(TEMPLATES)]}
        if number and chance.random() < 0.7:
            step["dependsOn"] = chance.sample(ids, chance.randint(1, min(3, len(ids))))
            step["dependsOnMode"] = chance.choice(["any", "all"])
            step["event"] = {"packName": "Wrk", "name": chance.choice(["Done", "Done", "Else", "FATAL"])}
        if chance.random() < 0.6:
            step["context"] = {chance.choice("AB"): chance.choice(TEMPLATES[:2] + TEMPLATES[4:])}
        if chance.random() < 0.4:
            step["criteria"] = chance.choice(CRITERIA)
        if chance.random() < 0.2:
            step["event"]["packLabels"] = {"env": chance.choice(["x", "y"])}
        if chance.random() < 0.2:
            step["command"]["packLabels"] = {"env": chance.choice(["x", "{{ Event.Pack.Labels.env }}"])}
        steps.append(step)
    return {"name": "random", "steps": steps}


@pytest.mark.parametrize("seed", range(60))
def test_a_dry_run_of_any_flow_equals_its_run(seed: int) -> None:
    chance = random.Random(seed)
    flow: dict[str, Any] = {}
    while not flow:
        candidate = random_flow(chance)
        try:
            parse_flow(candidate)
            flow = candidate
        except ValueError:
            continue
    ids = [step["id"] for step in flow["steps"]]
    order = chance.sample(ids, chance.randint(0, len(ids)))
    results = {
        step_id: SimulatedResult(chance.choice(["Done", "Done", "FATAL"]), {"n": chance.randint(0, 3)})
        for step_id in order
    }
    compare_runs(flow, b.event(b.pack("Src", env="x"), "Go", {"n": chance.randint(0, 3)}), results)


def step_of(done: DryRun, step_id: str) -> dict[str, Any]:
    return next(step for step in done.to_json()["steps"] if step["stepId"] == step_id)


def try_steps(*steps: dict[str, Any], payload: Any = None, results: Results | None = None) -> DryRun:
    return dry_run_flow(parse_flow(b.document(*steps)), b.event(b.pack("Src", env="x"), "Go", payload), results)


def test_nothing_is_written() -> None:
    try_steps(b.step(id="a"), b.follower("a", id="b"), results={"a": SimulatedResult("Done")})
    for model in (Flow, FlowVersion, EventRow, Execution, Action):
        assert not model.objects.exists()
    assert set(Pack.objects.values_list("name", flat=True)) == {"Src"}


def test_failed_context_values_have_positions_and_the_others_are_shown() -> None:
    context = {"A": "fine", "B": "{{ datastore('none') }}", "C": "{{ Event.Payload.n.x }}"}
    step = step_of(try_steps(b.step(id="a", context=context), payload={"n": 5}), "a")
    assert (step["outcome"], step["context"]) == ("error", {"A": "fine", "B": None, "C": None})
    assert [(error["path"], error["line"], error["column"]) for error in step["errors"]] == [
        ("steps[0].context.B", 1, 4),
        ("steps[0].context.C", 1, 20),
    ]
    assert "command" not in step


def test_an_input_is_shown_with_its_errors() -> None:
    command = {"packName": "Wrk", "name": "Do", "input": {"to": ["{{ 1 + 1 }}", "{{ datastore('none') }}"]}}
    step = step_of(try_steps(b.step(id="a", command=command)), "a")
    assert step["command"]["input"] == {"to": ["2", None]}
    assert [error["path"] for error in step["errors"]] == ["steps[0].command.input.to[1]"]


def test_criteria_show_their_result_and_the_values_read() -> None:
    criteria = "{{ Event.Payload.n > 1 and Event.Payload.missing != 'x' and Context.A|upper == 'NO' }}"
    step = step_of(try_steps(b.step(id="a", context={"A": "yes"}, criteria=criteria), payload={"n": 5}), "a")
    assert step["outcome"] == "criteria"
    assert (step["criteria"]["verdict"], step["criteria"]["holds"]) == ("False", False)
    values = {"Event.Payload.n": "5", "Event.Payload.missing": "null", "Context.A": '"yes"'}
    assert step["criteria"]["saw"] == values


def test_labels_show_required_and_actual_values() -> None:
    event = {"packName": "Src", "name": "Go", "packLabels": {"env": "{{ Event.Payload }}"}}
    step = step_of(try_steps(b.step(id="a", event=event), payload="y"), "a")
    assert (step["outcome"], step["labels"]) == (
        "labels",
        {"wanted": {"env": "y"}, "had": {"env": "x"}, "hold": False},
    )


def test_a_step_that_is_not_reached_shows_what_it_waits_for() -> None:
    other = b.step(id="other", event={"packName": "Src", "name": "Else"})
    join = b.follower(["a", "b"], id="join", dependsOnMode="all")
    steps = [b.step(id="a"), b.follower("a", id="b"), b.follower("a", event="Else", id="c"), join, other]
    done = try_steps(*steps, results={"a": SimulatedResult("Done")})
    messages = {step["stepId"]: step.get("message") for step in done.to_json()["steps"]}
    assert messages == {
        "a": None,
        "b": None,
        "c": "waits for Wrk.Else; the results are Wrk.Done",
        "join": "waits for b (no result yet)",
        "other": "waits for Src.Else; the event is Src.Go",
    }
    unanswered = step_of(try_steps(*steps), "join")
    assert unanswered["message"] == "waits for a (no result yet) and b (has not fired)"


def test_an_unused_result_gives_a_note() -> None:
    stranger = SimulatedResult("Done", pack=b.event(b.pack("Oth"), "Done").pack)
    done = try_steps(b.step(id="a"), b.follower("a", id="b"), results={"b": SimulatedResult("Done"), "a": stranger})
    assert [note.path for note in done.notes] == ["results.a", "results.b"]
    assert "name or labels do not match" in done.notes[0].message
    assert step_of(done, "b")["outcome"] == "notReached"


def test_a_step_evaluated_twice_shows_both_evaluations() -> None:
    twice = b.follower(["a", "b"], id="c", criteria="{{ Event.Payload == 2 }}")
    results = {"a": SimulatedResult("Done", 1), "b": SimulatedResult("Done", 2)}
    done = try_steps(b.step(id="a"), b.step(id="b"), twice, results=results)
    step = step_of(done, "c")
    assert (step["outcome"], step["cause"]) == ("fired", "b")
    assert [(evaluation["outcome"], evaluation["cause"]) for evaluation in step["earlier"]] == [("criteria", "a")]


@override_settings(FLYTE_MASKED_KEYS="token")
def test_probable_secrets_are_redacted_but_templates_read_them() -> None:
    command = {"packName": "Wrk", "name": "Do", "input": {"apiToken": "{{ Event.Payload.token }}"}}
    criteria = "{{ Event.Payload.token == 'abc' }}"
    done = try_steps(b.step(id="a", criteria=criteria, command=command), payload={"token": "abc"})
    assert done.actions["a"].input == {"apiToken": "abc"}
    assert "abc" not in str(done.to_json()).replace(criteria, "")
    assert step_of(done, "a")["outcome"] == "fired"


WARNING = "the number 42 never equals the string '42': convert it with |integer or |float"


def test_operations_that_are_probably_mistakes_give_warnings_with_positions() -> None:
    command = {"packName": "Wrk", "name": "Do", "input": {"n": ["{{ 'n/a'|integer }}"]}}
    step = b.step(id="a", context={"A": "x {{ none + 1 }}"}, criteria="{{ Event.Payload != 42 }}", command=command)
    warnings = step_of(try_steps(step, payload="42"), "a")["warnings"]
    assert warnings == [
        {"path": "steps[0].context.A", "message": "none counts as 0 here", "line": 1, "column": 11},
        {"path": "steps[0].criteria", "message": WARNING, "line": 1, "column": 18},
        {
            "path": "steps[0].command.input.n[0]",
            "message": "'n/a' is not a number; it counts as 0",
            "line": 1,
            "column": 10,
        },
    ]


def test_text_that_is_not_a_number_is_an_error_with_the_value_in_the_run_and_the_dry_run() -> None:
    flow = b.document(b.step(id="a", criteria="{{ Event.Payload > 14 }}"))
    event = b.event(b.pack("Src"), "Go", "n/a\n")
    _, outcomes = run_for_real(flow, event, {})
    (simulated,) = dry_run_flow(parse_flow(flow), event).evaluations
    message = "cannot compare 14 with a string: 'n/a\\n' is not a number"
    assert [outcome["message"] for outcome in outcomes] == [message] == [simulated.outcome.message]


def test_false_criteria_explain_a_comparison_that_is_never_true() -> None:
    flow = b.document(b.step(id="a", context={"A": "{{ none + 1 }}"}, criteria="{{ Event.Payload == 42 }}"))
    _, outcomes = run_for_real(flow, b.event(b.pack("Src"), "Go", "42"), {})
    assert [outcome["warnings"] for outcome in outcomes] == [[WARNING]]


@override_settings(FLYTE_MASKED_KEYS="pin")
@pytest.mark.parametrize("pin", ["abc", "x" * 100])
def test_an_error_hides_values_that_are_masked(pin: str) -> None:
    flow = b.document(b.step(id="a", context={"A": "{{ Event.Payload.user.pin * 2 }}"}))
    event = b.event(b.pack("Src"), "Go", {"user": {"pin": pin}})
    _, outcomes = run_for_real(flow, event, {})
    assert outcomes[0]["message"] == MASKED_ERROR
    assert pin[:40] not in str(dry_run_flow(parse_flow(flow), event).to_json())


@override_settings(FLYTE_MASKED_KEYS="pin")
def test_a_warning_hides_values_that_are_masked() -> None:
    flow = b.document(b.step(id="a", criteria="{{ Event.Payload.pin == 1234 }}"))
    event = b.event(b.pack("Src"), "Go", {"pin": "1234"})
    _, outcomes = run_for_real(flow, event, {})
    assert outcomes[0]["warnings"] == [MASKED_WARNING]
    assert "'1234'" not in str(dry_run_flow(parse_flow(flow), event).to_json())
