"""Agreement of the pages about security with the code."""

import re

import pytest
import yaml

from flyte_site.auth.oidc.jwks import ALGORITHMS
from flyte_site.auth.policy import parse_policy
from flyte_site.auth.routes import find_unreachable_rules
from tests.server import ROOT

pytestmark = pytest.mark.unit

SECURITY = (ROOT / "docs/explanation/security.md").read_text(encoding="utf-8")
ACCESS = (ROOT / "docs/reference/access.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [SECURITY, ACCESS])
def test_the_example_policies_are_valid(page: str) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    policy = parse_policy(example)
    assert len(policy.rules) == len(yaml.safe_load(example))
    assert find_unreachable_rules(policy) == []


def test_the_example_policy_allows_packs_to_act_only_as_themselves() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", SECURITY, re.DOTALL)
    policy = parse_policy(example)
    for path in ("events", "actions/take", "actions/5/result", "actions/5/heartbeat"):
        demand = policy.get_requirement("POST", ["v1", "packs", "Slack", *path.split("/")])
        assert demand is not None
        assert demand.find_matching_claim({"pack": "Slack"})
        assert not demand.find_matching_claim({"pack": "Jira"})


def test_the_documented_algorithms_are_those_that_are_accepted() -> None:
    (row,) = re.findall(r"^\| `alg` \| (.*) \|$", ACCESS, re.MULTILINE)
    assert set(re.findall(r"\b[A-Z]{2}\d{3}\b|EdDSA", row)) == set(ALGORITHMS)
