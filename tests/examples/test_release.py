"""Two builds, one announcement, and an alarm if a command fails."""

import pytest

from .world import ScriptedPack, Taken, World, states

pytestmark = pytest.mark.acceptance

FLOW = "release.yaml"
PLANS = ("frontend", "backend")


def packs(world: World) -> tuple[ScriptedPack, ScriptedPack]:
    commands = {"Build": ["BuildSuccessful", "BuildFailed"], "AddLabel": ["LabelAdded"]}
    return world.pack("HipChat", {"SendMessage": ["MessageSent"]}), world.pack("Bamboo", commands)


def asked_for(hipchat: ScriptedPack, bamboo: ScriptedPack) -> dict[str, Taken]:
    """Request a release and take both builds."""
    hipchat.tell("MessageReceived", {"RoomId": "r1", "User": "Karl", "Message": "release 1.2.0"})
    taken = [bamboo.take(), bamboo.take()]
    assert bamboo.poll() is None
    assert [one.input["version"] for one in taken] == ["1.2.0", "1.2.0"]
    return {one.input["plan"]: one for one in taken}


def built(taken: dict[str, Taken], plan: str) -> None:
    taken[plan].give("BuildSuccessful", {"plan": plan, "build": f"{plan}-1.2.0"})


@pytest.mark.parametrize("order", [PLANS, PLANS[::-1]])
def test_both_builds_lead_to_one_announcement_in_any_order(world: World, order: tuple[str, str]) -> None:
    hipchat, bamboo = packs(world)
    builds = asked_for(hipchat, bamboo)
    labellings = []
    for plan in order:
        built(builds, plan)
        labellings.append(bamboo.take())
        assert labellings[-1].input == {"build": f"{plan}-1.2.0", "label": "release-1.2.0"}
    labellings[1].give("LabelAdded")
    assert hipchat.poll() is None
    labellings[0].give("LabelAdded")
    message = "Release 1.2.0: frontend-1.2.0 and backend-1.2.0 are built"
    assert hipchat.do("MessageSent") == ("SendMessage", {"roomId": "announcements", "message": message})
    assert (hipchat.poll(), bamboo.poll()) == (None, None)
    steps = ("build_frontend", "build_backend", "label_frontend", "label_backend", "announce")
    assert states(world.execution("release")) == dict.fromkeys(steps, "SUCCESS")
    assert len(world.executions("release", state="succeeded")) == 1


def test_the_announcement_waits_for_the_second_build(world: World) -> None:
    hipchat, bamboo = packs(world)
    builds = asked_for(hipchat, bamboo)
    built(builds, "backend")
    assert bamboo.do("LabelAdded")[1]["build"] == "backend-1.2.0"
    assert hipchat.poll() is None
    assert len(world.executions("release", state="running")) == 1


def test_a_command_that_breaks_down_gives_an_alarm_and_no_announcement(world: World) -> None:
    hipchat, bamboo = packs(world)
    builds = asked_for(hipchat, bamboo)
    builds["frontend"].give("FATAL", "disk full")
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
    # The FATAL was answered: a step fired on it.
    assert len(world.executions("release", state="succeeded")) == 1


def test_two_failures_raise_one_alarm_and_the_second_step_failed(world: World) -> None:
    hipchat, bamboo = packs(world)
    for taken in asked_for(hipchat, bamboo).values():
        taken.give("FATAL", "disk full")
    hipchat.do("MessageSent")
    assert hipchat.poll() is None
    assert len(world.executions("release", state="failed")) == 1


def test_a_failed_build_is_not_a_failure_of_the_command(world: World) -> None:
    hipchat, bamboo = packs(world)
    for taken in asked_for(hipchat, bamboo).values():
        taken.give("BuildFailed", {"plan": taken.input["plan"]})
    assert (hipchat.poll(), bamboo.poll()) == (None, None)
