"""Effects of events and results."""

import json

import pytest
from django.test import override_settings

from datastore.models import Item
from flows.models import Event, Execution, ExecutionState, Flow
from packs.models import Action, ActionState
from packs.queue.results import ResultStatus
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_an_event_starts_every_subscribed_flow_and_no_other() -> None:
    source = b.pack("Src")
    b.save(b.step(), name="one")
    b.save(b.step(), name="two")
    b.save(b.step(event={"packName": "Src", "name": "Other"}), name="deaf to the name")
    b.save(b.step(event={"packName": "Other", "name": "Go"}), name="deaf to the pack")
    b.tell(source)
    assert set(Execution.objects.values_list("flow_name", flat=True)) == {"one", "two"}


def test_all_trigger_steps_of_a_flow_fire_in_one_execution_and_do_not_see_each_others_context() -> None:
    source = b.pack("Src")
    first = b.step(id="a", context={"X": "from a"}, command={"packName": "Wrk", "name": "Do", "input": "{{Context.X}}"})
    b.save(first, b.step(id="b", command={"packName": "Wrk", "name": "Do", "input": "[{{ Context.X }}]"}))
    b.tell(source)
    actions = b.actions(b.only_execution())
    assert {step_id: action.input for step_id, action in actions.items()} == {"a": "from a", "b": "[]"}


def test_a_result_continues_its_execution_with_the_context_so_far() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(
        b.step(id="a", context={"Who": "{{ Event.Payload.who }}"}),
        b.follower("a", id="b", context={"Got": "{{ Event.Payload }}"}),
    )
    b.tell(source, payload={"who": "ann"})
    b.work(worker, payload=7)
    assert b.actions(b.only_execution())["b"].context == {"Who": "ann", "Got": "7"}


def test_a_result_starts_other_flows_too() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), name="first")
    b.save(b.step(event={"packName": "Wrk", "name": "Done"}), name="second")
    b.tell(source)
    b.work(worker)
    assert set(Execution.objects.values_list("flow_name", flat=True)) == {"first", "second"}


def test_a_step_without_depends_on_that_matches_its_own_flow_starts_a_new_execution_once() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.step(id="b", event={"packName": "Wrk", "name": "Done"}))
    b.tell(source)
    b.work(worker)
    assert sorted(map(sorted, map(b.fired, Execution.objects.all()))) == [["a"], ["b"]]


def test_an_event_from_outside_fires_no_step_that_depends_on_another() -> None:
    source = b.pack("Src")
    b.save(b.step(id="a"), b.follower("a", id="b", event="Go", pack="Src"))
    b.tell(source)
    assert b.fired(b.only_execution()) == {"a"}


def test_a_dependent_step_fires_once_if_two_of_its_parents_finish() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.step(id="b"), b.follower(["a", "b"], id="c"))
    b.tell(source)
    b.work(worker)
    assert b.fired(b.only_execution()) == {"a", "b", "c"}
    b.work(worker)
    assert Action.objects.filter(step_id="c").count() == 1


def test_depends_on_any_holds_for_any_finished_step_and_sender() -> None:
    source, worker, other = b.pack("Src"), b.pack("Wrk"), b.pack("Oth")
    b.save(
        b.step(id="a"),
        b.step(id="b", command={"packName": "Oth", "name": "Do"}),
        b.follower("a", id="c", pack="Oth"),
    )
    b.tell(source)
    b.work(worker)
    assert b.fired(b.only_execution()) == {"a", "b"}
    b.work(other)
    assert b.fired(b.only_execution()) == {"a", "b", "c"}


@pytest.mark.parametrize("order", [("Wrk", "Oth"), ("Oth", "Wrk")])
def test_depends_on_all_waits_for_every_named_step_in_any_order(order: tuple[str, str]) -> None:
    source, packs = b.pack("Src"), {name: b.pack(name) for name in ("Wrk", "Oth")}
    join = b.follower(["a", "b"], id="c", dependsOnMode="all", context={"From": "{{ Event.Payload }}"})
    b.save(b.step(id="a"), b.step(id="b", command={"packName": "Oth", "name": "Do"}), join)
    b.tell(source)
    b.work(packs[order[0]], payload=order[0])
    assert "c" not in b.fired(b.only_execution())
    b.work(packs[order[1]], payload=order[1])
    joined = b.actions(b.only_execution())["c"]
    assert joined.context["From"] == "Wrk", "the step's event is Wrk's, whichever result came last"


def test_depends_on_all_takes_the_latest_result_that_its_event_matches() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    join = b.follower(["a", "b"], id="c", dependsOnMode="all", context={"From": "{{ Event.Payload }}"})
    b.save(b.step(id="a"), b.step(id="b"), join)
    b.tell(source)
    b.work(worker, payload="first")
    b.work(worker, payload="second")
    assert b.actions(b.only_execution())["c"].context["From"] == "second"


def test_contexts_merge_in_finishing_order_with_the_trigger_last() -> None:
    source, worker, other = b.pack("Src"), b.pack("Wrk"), b.pack("Oth")
    second = {"packName": "Oth", "name": "Do"}
    b.save(
        b.step(id="a", context={"X": "a", "A": "a"}),
        b.step(id="b", context={"X": "b", "B": "b"}, command=second),
        b.follower(["a", "b"], id="c", dependsOnMode="all"),
    )
    b.tell(source)
    b.work(worker)
    b.work(other)
    assert b.actions(b.only_execution())["c"].context == {"A": "a", "B": "b", "X": "a"}


def test_an_execution_succeeds_when_all_actions_are_finished() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="b"))
    b.tell(source)
    b.work(worker)
    assert b.only_execution().state == ExecutionState.RUNNING
    b.work(worker, name="Unheard")
    assert b.only_execution().state == ExecutionState.SUCCEEDED
    assert b.only_execution().ended_at is not None


def test_an_unhandled_fatal_result_fails_the_execution() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="b"))
    b.tell(source)
    assert b.work(worker, name="FATAL").state == ActionState.FATAL
    assert b.only_execution().state == ExecutionState.FAILED


def test_a_handled_fatal_result_does_not_fail_the_execution() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="alarm", event="FATAL"))
    b.tell(source)
    b.work(worker, name="FATAL")
    b.work(worker)
    assert b.only_execution().state == ExecutionState.SUCCEEDED


def test_a_fatal_result_handled_only_after_the_other_parent_ends_is_handled() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.step(id="b"), b.follower(["a", "b"], id="c", event="FATAL", dependsOnMode="all"))
    b.tell(source)
    b.work(worker, name="FATAL")
    b.work(worker)
    b.work(worker)
    assert b.only_execution().state == ExecutionState.SUCCEEDED


def test_a_dependent_steps_error_is_recorded_and_fails_the_execution() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="b", criteria="{{ datastore('none') }}"), b.follower("a", id="c"))
    b.tell(source)
    b.work(worker)
    b.work(worker, name="Unheard")
    execution = b.only_execution()
    assert b.fired(execution) == {"a", "c"}
    assert execution.state == ExecutionState.FAILED
    assert [(error["stepId"], error["path"], error["event"]) for error in execution.errors] == [
        ("b", "steps[1].criteria", "Done")
    ]


def test_a_failing_flow_affects_no_other_and_its_error_is_recorded() -> None:
    source = b.pack("Src")
    bad = {"packName": "Wrk", "name": "Do", "input": {"to": "{{ datastore('none') }}"}}
    b.save(b.step(id="a", command=bad), name="bad")
    b.save(b.step(), name="good")
    b.tell(source)
    assert b.only_execution().flow_name == "good"
    outcomes = {outcome["flow"]: outcome for outcome in Event.objects.get().outcomes}
    assert "correlationId" not in outcomes["bad"]
    (error,) = outcomes["bad"]["steps"]
    assert (error["outcome"], error["path"], error["line"]) == ("error", "steps[0].command.input.to", 1)
    assert "none" in error["message"]


def test_a_flow_that_no_longer_parses_affects_no_other() -> None:
    source = b.pack("Src")
    flow = b.save(b.step(), name="old")
    flow.version.document = {"name": "old", "steps": [{"junk": 1}]}
    flow.version.save()
    b.save(b.step(), name="good")
    b.tell(source)
    assert b.only_execution().flow_name == "good"
    assert Event.objects.get().outcomes[0]["steps"][0]["outcome"] == "error"


def test_the_event_records_the_reason_of_each_unfired_step() -> None:
    source = b.pack("Src", env="dev")
    wants_prod = {"packName": "Src", "name": "Go", "packLabels": {"env": "prod"}}
    b.save(b.step(id="l", event=wants_prod), b.step(id="c", criteria="{{ 1 == 2 }}"), b.step(id="w", criteria="maybe"))
    b.tell(source)
    (outcome,) = Event.objects.get().outcomes
    labels, false, neither = outcome["steps"]
    assert (labels["outcome"], labels["wanted"], labels["had"]) == ("labels", {"env": "prod"}, {"env": "dev"})
    assert (false["outcome"], false["message"]) == ("criteria", "the criteria are false")
    assert "saw" not in false
    assert neither["outcome"] == "criteria"
    assert "'maybe'" in neither["message"]
    assert not Execution.objects.exists()


def test_false_criteria_are_recorded_with_their_reads_truncated_and_masked() -> None:
    source = b.pack("Src")
    Item.objects.create(key="limits", value=b'{"most": 3}', content_type="application/json")
    criteria = "{{ Event.Payload.n < datastore('limits').most and Context.Who == 'ann' or Event.Payload.token == '' }}"
    long = b.step(id="b", criteria="{{ Event.Payload.text == 'x' || Event.Payload == 'x' }}")
    b.save(b.step(id="a", criteria=criteria, context={"Who": "bob"}), long)
    b.tell(source, payload={"n": 2, "token": "xyz", "text": "x" * 900})
    short, cut = (step["saw"] for step in Event.objects.get().outcomes[0]["steps"])
    assert short == {
        "Event.Payload.n": "2",
        "datastore('limits').most": "3",
        "Context.Who": '"bob"',
        "Event.Payload.token": '"••••••"',
    }
    assert [len(text) for text in cut.values()] == [201, 201]
    assert "xyz" not in json.dumps(Event.objects.get().outcomes)


@override_settings(FLYTE_EVENT_KEEP=3)
def test_the_last_events_of_each_pack_and_name_are_stored() -> None:
    source, other = b.pack("Src"), b.pack("Src", env="x")
    b.save(b.step())
    for number in range(5):
        b.tell(source, payload=number)
    b.tell(other, payload="other")
    assert sorted(str(event.payload) for event in Event.objects.all()) == ["2", "3", "4", "other"]


def test_a_disabled_or_deleted_flow_starts_nothing_but_its_executions_continue() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="b"))
    b.tell(source)
    b.save(b.step(id="new"), enabled=False)
    b.tell(source)
    Flow.objects.all().delete()
    b.tell(source)
    b.work(worker)
    assert b.fired(b.only_execution()) == {"a", "b"}


def test_an_execution_stays_on_the_version_that_started_it() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="a"), b.follower("a", id="b", command={"packName": "Wrk", "name": "Do", "input": "old"}))
    b.tell(source)
    b.save(b.step(id="a"), b.follower("a", id="b", command={"packName": "Wrk", "name": "Do", "input": "new"}))
    b.work(worker)
    assert b.actions(b.only_execution())["b"].input == "old"


def test_a_result_counts_once() -> None:
    source, worker, wrong = b.pack("Src"), b.pack("Wrk"), b.pack("Oth")
    b.save(b.step(id="a"), b.follower("a", id="b"))
    b.tell(source)
    waiting = Action.objects.get()
    assert b.give(worker, waiting) is ResultStatus.REJECTED, "not taken yet"
    action = b.take(worker)
    assert b.give(wrong, action) is ResultStatus.REJECTED, "taken by another pack"
    assert b.give(worker, action, payload={"r": 1}) is ResultStatus.ACCEPTED
    assert b.give(worker, action, payload={"r": 1}) is ResultStatus.DUPLICATE
    assert b.give(worker, action, payload={"r": 2}) is ResultStatus.REJECTED
    assert b.give(worker, action, name="FATAL", payload={"r": 1}) is ResultStatus.REJECTED
    assert Action.objects.get(id=action.id).result["payload"] == {"r": 1}
    assert Action.objects.filter(step_id="b").count() == 1


def test_a_result_for_an_unknown_action_is_distinguished() -> None:
    worker = b.pack("Wrk")
    assert b.give(worker, Action(id="0" * 24)) is None


def test_a_pack_with_more_labels_can_finish_an_action_of_its_name() -> None:
    source, worker, labelled = b.pack("Src"), b.pack("Wrk"), b.pack("Wrk", env="x")
    b.save(b.step())
    b.tell(source)
    assert b.give(labelled, b.take(worker)) is ResultStatus.ACCEPTED


def test_pack_labels_of_a_command_may_be_templates() -> None:
    source = b.pack("Src", env="dev")
    dev, prod = b.pack("Wrk", env="dev"), b.pack("Wrk", env="prod")
    command = {"packName": "Wrk", "name": "Do", "packLabels": {"env": "{{ Context.Env }}"}}
    b.save(b.step(context={"Env": "{{ Event.Pack.Labels.env }}"}, command=command))
    b.tell(source)
    assert b.take(dev).pack_labels == {"env": "dev"}
    b.tell(source)
    with pytest.raises(AssertionError, match="nothing waits"):
        b.take(prod)


def test_null_in_an_input_stays_null_and_numbers_keep_their_kind() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    template = {"n": None, "l": [None, 1, 1.5, 1.0, 12345678901234567890], "s": "{{ Event.Payload.big }}"}
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": template}))
    b.tell(source, payload={"big": 12345678901234567890})
    rendered = b.take(worker).input
    assert rendered == {**template, "s": "12345678901234567890"}
    assert [type(item) for item in rendered["l"]] == [type(None), int, float, int, int], "as Go writes 1.0"


def test_text_with_nul_is_stored_unchanged() -> None:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "input": "{{ Event.Payload }}"}))
    b.tell(source, payload="a\x00b")
    assert b.take(worker).input == "a\x00b"
    assert Event.objects.get().payload == "a\x00b"
