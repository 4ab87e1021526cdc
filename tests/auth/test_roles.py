"""Mapping of a provider's claims to roles of the console."""

from typing import Any

import pytest

from flyte_site.auth.oidc.role_mapping import map_claims_to_roles, parse_role_rules

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"groups": ["flyte-admins"]}, {"admin"}),
        ({"groups": ["x", "dev", "flyte-admins"]}, {"admin", "editor"}),
        ({"groups": "dev"}, {"editor"}),
        ({"groups": []}, set()),
        ({"groups": None}, set()),
        ({"groups": ["DEV", "de", "dev "]}, set()),
        ({"groups": {"dev": True}}, set()),
        ({"realm_access": {"roles": ["ops"]}}, {"operator"}),
        ({"realm_access.roles": ["ops"]}, {"operator"}),
        ({"realm_access": ["ops"]}, set()),
        ({"https://example.org/teams": ["a=b,c"]}, {"viewer"}),
        ({"staff": True}, {"viewer"}),
        ({"staff": False}, set()),
        ({}, set()),
    ],
)
def test_roles_follow_the_claims(claims: dict[str, Any], roles: set[str]) -> None:
    rules = parse_role_rules(
        "groups:flyte-admins=admin, groups:dev=editor,realm_access.roles:ops=operator, "
        "https://example.org/teams:a%3Db%2Cc=viewer, staff:true=viewer"
    )
    assert map_claims_to_roles(claims, rules) == roles


@pytest.mark.parametrize("text", ["admin", "groups=admin", "groups:=admin", "groups:a=", ":a=b", "g:a=b,", "g:a=b=c"])
def test_an_invalid_rule_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="claim:value=role"):
        parse_role_rules(text)
