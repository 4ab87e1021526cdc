"""The path policy: parsing of the file, and its requirements for requests."""

from pathlib import Path
from typing import Any

import pytest

from flyte_site.auth.policy import (
    MAX_POLICY_BYTES,
    PathPolicy,
    PolicyError,
    claim_values,
    parse_policy,
    read_policy_file,
)
from flyte_site.auth.routes import find_unreachable_rules
from tests.contract.recording import DATA

pytestmark = pytest.mark.unit

# The example of the original's manual, with the paths of this server.
MANUAL = """
- path: /v1/packs/:pack
  methods: [DELETE]
  claims:
    groups:
    - admin
    - 1
    pack:
    - :pack
"""


def allowed(policy: PathPolicy, method: str, path: str, claims: dict[str, Any]) -> bool:
    demand = policy.get_requirement(method, path[1:].split("/"))
    return demand is not None and (demand.is_open or bool(demand.find_matching_claim(claims)))


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"groups": "admin"}, True),
        ({"groups": ["dev", "admin", "ops"]}, True),
        ({"groups": "1"}, True),
        ({"groups": 1}, True),
        ({"groups": 1.0}, True),
        ({"groups": ["dev", "1"]}, True),
        ({"groups": ["dev", 1]}, True),
        ({"pack": "foo-pack"}, True),
        ({"pack": ":pack"}, False),
        ({"pack": "bar-pack"}, False),
        ({"groups": True}, False),
        ({"groups": "Admin"}, False),
        ({"groups": ["administrators", 11, None, {"admin": 1}, ["admin"]]}, False),
        ({"groups": {"admin": True}}, False),
        ({"groups": None}, False),
        ({"admin": "groups"}, False),
        ({}, False),
    ],
)
def test_the_manuals_example(claims: dict[str, Any], expected: bool) -> None:
    assert allowed(parse_policy(MANUAL), "DELETE", "/v1/packs/foo-pack", claims) is expected


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/packs/foo"), ("DELETE", "/v1/packs"), ("DELETE", "/v1")])
def test_requests_without_a_rule_are_refused(method: str, path: str) -> None:
    assert parse_policy(MANUAL).get_requirement(method, path[1:].split("/")) is None


def test_a_rule_without_claims_and_methods_allows_everything() -> None:
    policy = parse_policy("- path: /health")
    demand = policy.get_requirement("BREW", ["health"])
    assert demand is not None
    assert demand.is_open


def test_an_empty_list_of_values_matches_no_token() -> None:
    assert not allowed(parse_policy("- path: /a\n  claims: {x: []}"), "GET", "/a", {"x": "", "": []})


def test_a_path_parameter_can_be_the_name_of_a_claim() -> None:
    policy = parse_policy("- path: /packs/:pack\n  claims: {':pack': [yes, true], Foo: [no]}")
    assert allowed(policy, "GET", "/packs/Foo", {"Foo": "yes"})
    assert allowed(policy, "GET", "/packs/Foo", {"Foo": True})
    assert allowed(policy, "GET", "/packs/Foo", {"Foo": "no"})
    assert not allowed(policy, "GET", "/packs/Foo", {"Bar": "yes"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", ["a"]), (True, ["true"]), (3, ["3"]), (2.5, ["2.5"]), (1e300, [str(int(1e300))]), (["a", 1], ["a", "1"])],
)
def test_claims_are_compared_by_their_text(value: Any, expected: list[str]) -> None:
    assert claim_values(value) == expected


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [[]], [None]])
def test_other_values_have_no_text(value: Any) -> None:
    assert claim_values(value) == []


@pytest.mark.parametrize("text", ["method: GET", "methods: get", "methods: [GET]", "method: [Get, POST]"])
def test_methods_may_be_written_in_several_ways(text: str) -> None:
    assert parse_policy(f"- path: /a\n  {text}").rules[0].methods[0] == "GET"


BROKEN = [
    ("", 1, "no rules"),
    ("# nothing\n", 1, "no rules"),
    ("path: /a", 1, "must be a list"),
    ("- path: /a\n- /b", 2, "a rule must be"),
    ("- methods: [GET]", 1, "path is required"),
    ("- path: /a\n  claim: {a: [b]}", 2, "'claim'"),
    ("- path: /a\n  path: /b", 2, "duplicate key 'path'"),
    ("- path: /a\n  methods: [GET]\n  method: GET", 3, "use either method or methods"),
    ("- path: a", 1, "must start with /"),
    ("- path: [a]", 1, "path must be text"),
    ("-\n  path:", 2, "must start with /"),
    ("- path: /a\n  methods: [FETCH]", 2, "unknown HTTP method 'FETCH'"),
    ("- path: /a\n  methods: {GET: 1}", 2, "must be a list"),
    ("- path: /a\n  claims:", 2, "claims must be an object"),
    ("- path: /a\n  claims: {}", 2, "claims is empty"),
    ("- path: /a\n  claims: [a]", 2, "claims must be an object"),
    ("- path: /a\n  claims:\n    a: {b: c}", 3, "'a' must be a list"),
    ("- path: /a\n  claims:\n    a:\n    - ~", 4, "'a' must be a list"),
    ("- path: /a\n  claims:\n    a: [':b']", 3, "does not occur in the path"),
    ("- path: /:a\n  claims:\n    ':b': [x]", 3, "does not occur in the path"),
    ("- path: /a\n- path: /b\n- path: /a", 3, "duplicate path and method: already on line 1"),
    (
        "- path: /:a/x\n  methods: [GET, PUT]\n- path: /:b/x\n  method: PUT",
        3,
        "duplicate path and method: already on line 1",
    ),
    ("- path: /a\n  claims: {a: [b}", 2, "invalid YAML"),
    ("- path: /a\n\tx", 2, "invalid YAML"),
    ("- &a [*a]", 1, "a rule must be"),
    ("- path: *a", 1, "invalid YAML"),
    ("- path: /a\n---\n- path: /b", 2, "invalid YAML"),
    ("- !!python/object:os.system {}", 1, "path is required"),
    ("[" * 5000, 1, "invalid YAML"),
]


@pytest.mark.parametrize(("text", "line", "message"), BROKEN)
def test_an_error_in_the_policy_names_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse_policy(text)
    assert error.value.line == line, error.value
    assert message in str(error.value)
    assert str(error.value).startswith(f"line {line}: ")


@pytest.mark.parametrize(
    ("content", "line"), [(b"- path: /a\n- path: /\xff", 2), (b"#" * (MAX_POLICY_BYTES + 1), 1)], ids=["bytes", "size"]
)
def test_a_file_that_is_not_text_or_too_large_is_rejected(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / "policy.yml").write_bytes(content)
    with pytest.raises(PolicyError) as error:
        read_policy_file(str(tmp_path / "policy.yml"))
    assert error.value.line == line


def test_the_recorded_policy_is_parsed_and_all_of_its_paths_have_routes() -> None:
    policy = read_policy_file(str(DATA / "policy.yml"))
    assert [rule.line for rule in policy.rules] == [1, 3, 5, 6, 13, 17, 21]
    assert find_unreachable_rules(policy) == []


@pytest.mark.parametrize("path", ["/packs", "/v1/pack", "/v1/flows/:f/x", "/admin/*", "/v1/datastore/a/b", "/static/x"])
def test_a_rule_that_matches_no_route_is_reported(path: str) -> None:
    assert [rule.line for rule in find_unreachable_rules(parse_policy(f"- path: /*\n- path: {path}"))] == [2]
