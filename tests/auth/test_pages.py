"""What the pages about security show is true."""

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
def test_the_policies_that_are_shown_can_be_used(page: str) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    policy = parse_policy(shown)
    assert len(policy.rules) == len(yaml.safe_load(shown))
    assert find_unreachable_rules(policy) == []


def test_the_example_lets_packs_be_themselves_and_no_others() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", SECURITY, re.DOTALL)
    policy = parse_policy(shown)
    for path in ("events", "actions/take", "actions/5/result", "actions/5/heartbeat"):
        demand = policy.get_requirement("POST", ["v1", "packs", "Slack", *path.split("/")])
        assert demand is not None
        assert demand.find_matching_claim({"pack": "Slack"})
        assert not demand.find_matching_claim({"pack": "Jira"})


def test_the_algorithms_that_are_named_are_those_that_count() -> None:
    (row,) = re.findall(r"^\| `alg` \| (.*) \|$", ACCESS, re.MULTILINE)
    assert set(re.findall(r"\b[A-Z]{2}\d{3}\b|EdDSA", row)) == set(ALGORITHMS)
