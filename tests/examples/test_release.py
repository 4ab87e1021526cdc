"""Two builds, one announcement, and an alarm if a command fails."""

import pytest

from .world import ExampleClient, ScriptedPack, Taken, states

pytestmark = pytest.mark.acceptance

FLOW = "release.yaml"
PLANS = ("frontend", "backend")


def packs(world: ExampleClient) -> tuple[ScriptedPack, ScriptedPack]:
    commands = {"Build": ["BuildSuccessful", "BuildFailed"], "AddLabel": ["LabelAdded"]}
    return world.pack("HipChat", {"SendMessage": ["MessageSent"]}), world.pack("Bamboo", commands)


def request_release(hipchat: ScriptedPack, bamboo: ScriptedPack) -> dict[str, Taken]:
    """Request a release and take both builds."""
    hipchat.send_event("MessageReceived", {"RoomId": "r1", "User": "Karl", "Message": "release 1.2.0"})
    taken = [bamboo.take(), bamboo.take()]
    assert bamboo.poll() is None
    assert [action.input["version"] for action in taken] == ["1.2.0", "1.2.0"]
    return {action.input["plan"]: action for action in taken}


def built(taken: dict[str, Taken], plan: str) -> None:
    taken[plan].send_result("BuildSuccessful", {"plan": plan, "build": f"{plan}-1.2.0"})


@pytest.mark.parametrize("order", [PLANS, PLANS[::-1]])
def test_both_builds_lead_to_one_announcement_in_any_order(world: ExampleClient, order: tuple[str, str]) -> None:
    hipchat, bamboo = packs(world)
    builds = request_release(hipchat, bamboo)
    labellings = []
    for plan in order:
        built(builds, plan)
        labellings.append(bamboo.take())
        assert labellings[-1].input == {"build": f"{plan}-1.2.0", "label": "release-1.2.0"}
    labellings[1].send_result("LabelAdded")
    assert hipchat.poll() is None
    labellings[0].send_result("LabelAdded")
    message = "Release 1.2.0: frontend-1.2.0 and backend-1.2.0 are built"
    assert hipchat.do("MessageSent") == ("SendMessage", {"roomId": "announcements", "message": message})
    assert (hipchat.poll(), bamboo.poll()) == (None, None)
    steps = ("build_frontend", "build_backend", "label_frontend", "label_backend", "announce")
    assert states(world.execution("release")) == dict.fromkeys(steps, "SUCCESS")
    assert len(world.executions("release", state="succeeded")) == 1


def test_the_announcement_waits_for_the_second_build(world: ExampleClient) -> None:
    hipchat, bamboo = packs(world)
    builds = request_release(hipchat, bamboo)
    built(builds, "backend")
    assert bamboo.do("LabelAdded")[1]["build"] == "backend-1.2.0"
    assert hipchat.poll() is None
    assert len(world.executions("release", state="running")) == 1


def test_a_failed_command_raises_an_alarm_and_no_announcement(world: ExampleClient) -> None:
    hipchat, bamboo = packs(world)
    builds = request_release(hipchat, bamboo)
    builds["frontend"].send_result("FATAL", "disk full")
    alarm = {"roomId": "alerts", "message": "Release 1.2.0 failed: disk full"}
    assert hipchat.do("MessageSent") == ("SendMessage", alarm)
    built(builds, "backend")
    bamboo.do("LabelAdded")
    assert hipchat.poll() is None
    execution = world.execution("release")
    assert states(execution) == {
        "build_frontend": "FATAL",
        "alert": "SUCCESS",
        "build_backend": "SUCCESS",
        "label_backend": "SUCCESS",
    }
    assert execution["actions"]["alert"]["trigger"]["event"] == "FATAL"
    # A step fired on the FATAL.
    assert len(world.executions("release", state="succeeded")) == 1


def test_two_failures_raise_one_alarm_and_the_second_step_failed(world: ExampleClient) -> None:
    hipchat, bamboo = packs(world)
    for taken in request_release(hipchat, bamboo).values():
        taken.send_result("FATAL", "disk full")
    hipchat.do("MessageSent")
    assert hipchat.poll() is None
    assert len(world.executions("release", state="failed")) == 1


def test_a_failed_build_is_not_a_failure_of_the_command(world: ExampleClient) -> None:
    hipchat, bamboo = packs(world)
    for taken in request_release(hipchat, bamboo).values():
        taken.send_result("BuildFailed", {"plan": taken.input["plan"]})
    assert (hipchat.poll(), bamboo.poll()) == (None, None)
