"""`manage.py check_policy`, and the messages about a policy at the start."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from flyte_site.auth.policy import parse_policy
from flyte_site.management.commands.check_policy import explain_decision
from tests.contract.recording import DATA
from tests.site.processes import manage, manage_here

POLICY = parse_policy((DATA / "policy.yml").read_text())


@pytest.mark.unit
@pytest.mark.parametrize(
    ("method", "path", "claims", "passes", "reason"),
    [
        ("GET", "/v1", None, True, "everyone is allowed"),
        ("HEAD", "/v1?x=1", None, True, "line 3: path /v1, methods GET"),
        ("OPTIONS", "/nope", None, True, "never needs a token"),
        ("GET", "/nope", {"groups": ["dev"]}, False, "no rule matches this path"),
        ("DELETE", "/v1/packs", {}, False, "line 6: path /v1/packs is the most specific match, but only for GET, POST"),
        ("GET", "/v1/packs", None, False, "no token; one of these is required: groups: dev or packwriter"),
        ("GET", "/v1/packs", {"level": 1}, True, "'level' has one of the required values"),
        ("GET", "/v1/packs/A%2Fb", {"A/b": "yes"}, True, "line 13"),
        (
            "POST",
            "/v1/packs/Foo/events",
            {"pack": "Bar"},
            False,
            "the token has none of the required claims; one of these is required: pack: Foo",
        ),
    ],
)
def test_the_decision_about_a_request_is_explained(
    method: str, path: str, claims: dict[str, object] | None, passes: bool, reason: str
) -> None:
    decision, reasons = explain_decision(POLICY, method, path, claims)
    assert decision is passes
    assert any(reason in line for line in reasons), reasons


OPEN, REFUSED = ["get", "/v1"], ["GET", "/v1/packs", "--claims", '{"groups": "ops"}']


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (OPEN, 0, "allowed"),
        (REFUSED, 1, "401"),
        (["GET", "/v1/packs", "--claims", "[]"], 1, "must be a JSON object"),
        (["GET", "/v1/packs", "--claims", "{"], 1, "invalid JSON"),
        (["GET", "/v1/packs", "--claims", "[" * 5000 + "]" * 5000], 1, "invalid JSON: nested deeper than 100 levels"),
        (["GET", "v1/packs"], 1, "must start with /"),
    ],
)
def test_the_exit_code_is_the_decision(settings: LazySettings, arguments: list[str], code: int, words: str) -> None:
    settings.FLYTE_AUTH_POLICY = POLICY
    done = manage_here("check_policy", *arguments)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done


@pytest.mark.acceptance
def test_the_command_line_has_the_same_exit_codes(tmp_path: Path) -> None:
    environment = {
        "FLYTE_AUTH_POLICY_PATH": str(DATA / "policy.yml"),
        "FLYTE_OIDC_ISSUER_URL": "https://dex.example.org",
        "FLYTE_OIDC_ISSUER_CLIENT_ID": "flyte",
    }
    for arguments, code, words in ((OPEN, 0, "allowed"), (REFUSED, 1, "401")):
        done = manage("check_policy", *arguments, folder=tmp_path, environment=environment)
        assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done
    done = manage("check_policy", "GET", "/v1", folder=tmp_path, environment={})
    assert (done.returncode, "not set" in done.stderr) == (1, True)


@pytest.mark.acceptance
def test_a_rule_without_a_route_is_a_warning_and_a_broken_policy_stops_the_start(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yml"
    environment = {
        "FLYTE_AUTH_POLICY_PATH": str(policy),
        "FLYTE_OIDC_ISSUER_URL": "https://dex.example.org",
        "FLYTE_OIDC_ISSUER_CLIENT_ID": "flyte",
    }
    policy.write_text("- path: /v1\n- path: /packs\n")
    done = manage("check", folder=tmp_path, environment=environment)
    assert done.returncode == 0
    assert "(flyte.W011) FLYTE_AUTH_POLICY_PATH: line 2: no API route matches /packs" in done.stderr
    policy.write_text("- path: /v1\n  claims:\n    a:\n")
    done = manage("serve", folder=tmp_path, environment=environment)
    assert done.returncode == 2
    assert done.stderr.startswith(f"flyte: FLYTE_AUTH_POLICY_PATH: {policy}, line 3: ")
    assert done.stderr.count("\n") == 1
