"""The path policy: the claims that a token must have, by path and method.

The file is a YAML list of rules with `path`, `methods` (or `method`) and `claims`, as in the original's manual. It
does not know the routes, so that it can be parsed and tested without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from flyte_site.auth.path_patterns import (
    ANY_METHOD,
    DuplicateRowError,
    PathPattern,
    PathPatternError,
    PathTable,
    PathTableRow,
)

MAX_POLICY_BYTES = 1024 * 1024
HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
RULE_KEYS = ("path", "methods", "method", "claims")

Claims = Mapping[str, Any]


class PolicyError(Exception):
    """An invalid policy file; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


@dataclass(frozen=True)
class PolicyRule:
    """One rule. Without methods it applies to all of them; without claims it allows everyone. `line` counts from 1."""

    pattern: PathPattern
    methods: tuple[str, ...]
    claims: Mapping[str, tuple[str, ...]]
    line: int


@dataclass(frozen=True)
class ClaimRequirement:
    """The requirement for one request: one of these claims with one of its values, or nothing."""

    rule: PolicyRule
    claims: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def is_open(self) -> bool:
        """True if everyone is allowed, with any token or none."""
        return not self.claims

    def find_matching_claim(self, claims: Claims) -> str:
        """Return the name of a claim that meets the requirement, or ''."""
        return next(
            (name for name, allowed_values in self.claims if set(claim_values(claims.get(name))) & set(allowed_values)),
            "",
        )


class PathPolicy:
    """All rules. Raises `PolicyError` for two rules with the same path and method."""

    def __init__(self, rules: Sequence[PolicyRule]) -> None:
        self.rules = tuple(rules)
        try:
            self._table = PathTable(
                PathTableRow(rule.pattern, method, rule) for rule in rules for method in rule.methods or (ANY_METHOD,)
            )
        except DuplicateRowError as error:
            first, second = error.first, error.second
            assert isinstance(first, PolicyRule) and isinstance(second, PolicyRule)  # noqa: S101, PT018 - for the type checker
            raise PolicyError(f"duplicate path and method: already on line {first.line}", second.line) from None

    def find_most_specific(self, segments: Sequence[str]) -> list[PolicyRule]:
        """Return the rules for the path, whatever the method."""
        return [row.value for row in self._table.find_most_specific(segments).values()]

    def get_requirement(self, method: str, segments: Sequence[str]) -> ClaimRequirement | None:
        """Return the requirement for this request; None if no rule allows it."""
        match = self._table.find(method, segments)
        if match is None:
            return None
        rule, names = match
        return ClaimRequirement(rule, tuple(_resolve_names(rule, names)))


def _resolve_names(rule: PolicyRule, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the rule's claims with each `:name` replaced by its value in the path."""
    values = {f":{name}": value for name, value in names.items()}
    for claim, allowed_values in rule.claims.items():
        yield values.get(claim, claim), tuple(values.get(text, text) for text in allowed_values)


def claim_values(claim: Any) -> list[str]:
    """Return the values of a claim as policies spell them: text, `true`, `1`; list items each. Objects have none."""
    values = claim if isinstance(claim, list) else [claim]
    return [_claim_value(value) for value in values if isinstance(value, str | int | float)]


def _claim_value(value: str | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_policy_file(path: str) -> PathPolicy:
    """Read and parse a policy file in UTF-8. Raises `PolicyError`, `OSError`."""
    with open(path, "rb") as file:
        content = file.read(MAX_POLICY_BYTES + 1)
    if len(content) > MAX_POLICY_BYTES:
        raise PolicyError(f"file exceeds the limit of {MAX_POLICY_BYTES} bytes", 1)
    try:
        return parse_policy(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PolicyError("file is not valid UTF-8", content[: error.start].count(b"\n") + 1) from None


def parse_policy(text: str) -> PathPolicy:
    """Parse a policy. Raises `PolicyError`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PolicyError(f"invalid YAML: {error.problem or error.context}", mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, RecursionError):
        raise PolicyError("invalid YAML", 1) from None
    if root is None:
        raise PolicyError("no rules, so every request would be rejected; add at least one", 1)
    return PathPolicy([_parse_rule(node) for node in _sequence_items(root, "the policy must be a list of rules")])


def _parse_rule(node: yaml.Node) -> PolicyRule:
    fields = _parse_fields(node)
    if "path" not in fields:
        raise PolicyError("path is required", _line_number(node))
    if "method" in fields and "methods" in fields:
        raise PolicyError("duplicate methods: use either method or methods", _line_number(fields["method"]))
    path = fields["path"]
    try:
        pattern = PathPattern.parse(_scalar_text(path, "path must be text"))
    except PathPatternError as error:
        raise PolicyError(str(error), _line_number(path)) from None
    claims = _parse_claims(fields["claims"], pattern) if "claims" in fields else {}
    return PolicyRule(
        pattern, _parse_methods(fields.get("methods") or fields.get("method")), claims, _line_number(node)
    )


def _parse_fields(node: yaml.Node) -> dict[str, yaml.Node]:
    message = f"a rule must be an object with {', '.join(RULE_KEYS[:2])} and claims"
    fields = dict(_mapping_items(node, message))
    for name, value in fields.items():
        if name not in RULE_KEYS:
            raise PolicyError(f"unknown key {name!r}; use one of: {', '.join(RULE_KEYS)}", _line_number(value))
    return fields


def _parse_methods(node: yaml.Node | None) -> tuple[str, ...]:
    methods = []
    for item in _scalar_items(node, "methods must be a list of HTTP methods") if node is not None else ():
        method = item.value.upper()
        if method not in HTTP_METHODS:
            raise PolicyError(f"unknown HTTP method {item.value!r}", _line_number(item))
        methods.append(method)
    return tuple(dict.fromkeys(methods))


def _parse_claims(node: yaml.Node, pattern: PathPattern) -> dict[str, tuple[str, ...]]:
    claims = {}
    path_names = {f":{name}" for name in pattern.names}
    for name, values in _mapping_items(node, "claims must be an object: names of claims, each with a list of values"):
        allowed_values = tuple(
            item.value for item in _scalar_items(values, f"the values of {name!r} must be a list of strings")
        )
        for text in (name, *allowed_values):
            if text.startswith(":") and text not in path_names:
                raise PolicyError(f"{text!r} does not occur in the path {pattern.path}", _line_number(values))
        claims[name] = allowed_values
    if not claims:
        raise PolicyError("claims is empty; to allow everyone, leave it out", _line_number(node))
    return claims


def _mapping_items(node: yaml.Node, message: str) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise PolicyError(message, _line_number(node))
    seen = set()
    for key, value in node.value:
        name = _scalar_text(key, message)
        if name in seen:
            raise PolicyError(f"duplicate key {name!r}", _line_number(key))
        seen.add(name)
        yield name, value


def _sequence_items(node: yaml.Node, message: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise PolicyError(message, _line_number(node))
    return list(node.value)


def _scalar_items(node: yaml.Node, message: str) -> list[yaml.ScalarNode]:
    """Return the scalars of a list, or of a single scalar as a list of one; numbers and booleans stay as written."""
    items = [node] if isinstance(node, yaml.ScalarNode) else _sequence_items(node, message)
    scalars = []
    for item in items:
        if not isinstance(item, yaml.ScalarNode) or item.tag == "tag:yaml.org,2002:null":
            raise PolicyError(message, _line_number(item))
        scalars.append(item)
    return scalars


def _scalar_text(node: yaml.Node, message: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise PolicyError(message, _line_number(node))
    return str(node.value)


def _line_number(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
