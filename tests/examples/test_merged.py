"""Merges into main are built, and nothing else."""

import pytest

from .world import ExampleClient

pytestmark = pytest.mark.acceptance

FLOW = "merged.yaml"


def test_a_merge_into_main_starts_a_build(world: ExampleClient) -> None:
    bamboo = world.pack("Bamboo", {"TriggerPlan": ["PlanTriggered", "FailedToTriggerPlan"]})
    world.pack("Bitbucket").send_event("PullRequestMerged", {"project": "WEB", "name": "site", "id": 7, "to": "main"})
    assert bamboo.do("PlanTriggered") == ("TriggerPlan", {"plan": "WEB-MAIN"})


def test_other_merges_are_not_built(world: ExampleClient) -> None:
    world.pack("Bitbucket").send_event(
        "PullRequestMerged", {"project": "WEB", "name": "site", "id": 7, "to": "release"}
    )
    assert world.outcomes("merged", "PullRequestMerged")["build"]["outcome"] == "criteria"
