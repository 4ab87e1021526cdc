"""The manual's example of pack labels, with the packs that it lists."""

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "build_successful.yaml"
BUILT = {"build": "abc-1.2.0"}
REQUIRED_LABELS = {"env": "staging1", "network": "lab"}


def test_a_pack_with_these_labels_and_more_triggers_it(world: ExampleClient) -> None:
    hipchat = world.pack("HipChat", {"SendMessage": ["MessageSent"]})
    bamboo = world.pack("Bamboo", env="staging1", foo="bar", network="lab")
    bamboo.send_event("BuildSuccessful", BUILT)
    message = "abc-1.2.0 was built by Bamboo in staging1"
    assert hipchat.do("MessageSent") == ("SendMessage", {"roomId": "buildRoom", "message": message})
    action = world.execution("build_successful")["actions"]["announce"]
    assert action["trigger"]["pack"]["labels"] == {"env": "staging1", "foo": "bar", "network": "lab"}
    assert action["state"]["value"] == "SUCCESS"


@pytest.mark.parametrize("labels", [{"env": "staging2", "network": "lab"}, {"env": "staging1", "x": "y"}])
def test_a_pack_with_a_different_or_no_value_does_not(world: ExampleClient, labels: dict[str, str]) -> None:
    world.pack("Bamboo", **labels).send_event("BuildSuccessful", BUILT)
    outcome = world.outcomes("build_successful", "BuildSuccessful")["announce"]
    assert (outcome["outcome"], outcome["wanted"], outcome["had"]) == ("labels", REQUIRED_LABELS, labels)
    assert world.executions("build_successful") == []


def test_a_pack_with_a_different_name_does_not(world: ExampleClient) -> None:
    hipchat = world.pack("HipChat", {"SendMessage": ["MessageSent"]})
    world.pack("NotBamboo", env="staging1", foo="bar", network="lab").send_event("BuildSuccessful", BUILT)
    assert hipchat.poll() is None
    assert world.executions("build_successful") == []
