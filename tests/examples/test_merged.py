"""Merges into main are built, and nothing else."""

import pytest

from .world import World

pytestmark = pytest.mark.acceptance

FLOW = "merged.yaml"


def test_a_merge_into_main_starts_a_build(world: World) -> None:
    bamboo = world.pack("Bamboo", {"TriggerPlan": ["PlanTriggered", "FailedToTriggerPlan"]})
    world.pack("Bitbucket").tell("PullRequestMerged", {"project": "WEB", "name": "site", "id": 7, "to": "main"})
    assert bamboo.do("PlanTriggered") == ("TriggerPlan", {"plan": "WEB-MAIN"})


def test_other_merges_are_not_built(world: World) -> None:
    world.pack("Bitbucket").tell("PullRequestMerged", {"project": "WEB", "name": "site", "id": 7, "to": "release"})
    assert world.outcomes("merged", "PullRequestMerged")["build"]["outcome"] == "criteria"
