"""The path policy: which claims a token must have for which path and method.

The file is a YAML list of rules with `path`, `methods` (or `method`) and `claims`, as the original's manual has it. It
says nothing about routes, so that it can be read and tried without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from flyte_site.auth.patterns import ANY_METHOD, DuplicateError, PathTable, Pattern, PatternError, Row

MAX_BYTES = 1024 * 1024
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE")
KEYS = ("path", "methods", "method", "claims")

Claims = Mapping[str, Any]


class PolicyError(Exception):
    """The file can't be used; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


@dataclass(frozen=True)
class Rule:
    """One rule. No methods: all of them. No claims: everybody. `line` is where it stands in the file."""

    pattern: Pattern
    methods: tuple[str, ...]
    claims: Mapping[str, tuple[str, ...]]
    line: int


@dataclass(frozen=True)
class Demand:
    """What the policy asks of one request: one of these claims with one of its values, if it asks for any."""

    rule: Rule
    claims: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def is_open(self) -> bool:
        """Whether everybody may, with any token or none."""
        return not self.claims

    def met_by(self, claims: Claims) -> str:
        """The name of a claim that meets it; '' if none does."""
        return next((name for name, wanted in self.claims if set(texts(claims.get(name))) & set(wanted)), "")


class Policy:
    """All rules. Raises `PolicyError` where two of them are about the same path and method."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        try:
            self._table = PathTable(
                Row(rule.pattern, method, rule) for rule in rules for method in rule.methods or (ANY_METHOD,)
            )
        except DuplicateError as error:
            first, second = error.first, error.second
            assert isinstance(first, Rule) and isinstance(second, Rule)  # noqa: S101, PT018 - for the type checker
            raise PolicyError(f"line {first.line} is about the same path and method", second.line) from None

    def closest(self, segments: Sequence[str]) -> list[Rule]:
        """The rules for the path alone, whatever the method."""
        return [row.value for row in self._table.closest(segments).values()]

    def demand(self, method: str, segments: Sequence[str]) -> Demand | None:
        """What it takes to do this; None if no rule allows it to anybody."""
        found = self._table.find(method, segments)
        if found is None:
            return None
        rule, names = found
        return Demand(rule, tuple(_resolved(rule, names)))


def _resolved(rule: Rule, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The rule's claims with `:name` replaced by what stands in the path."""
    values = {f":{name}": value for name, value in names.items()}
    for claim, wanted in rule.claims.items():
        yield values.get(claim, claim), tuple(values.get(text, text) for text in wanted)


def texts(claim: Any) -> list[str]:
    """The values of a claim as the policy writes them: text, `true`, `1`; each of a list's. Objects have none."""
    values = claim if isinstance(claim, list) else [claim]
    return [_text(value) for value in values if isinstance(value, str | int | float)]


def _text(value: str | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_policy_file(path: str) -> Policy:
    """Reads a file in UTF-8. Raises `PolicyError`, `OSError`."""
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PolicyError(f"the file has more than {MAX_BYTES} bytes", 1)
    try:
        return read_policy(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PolicyError("the file is not in UTF-8", content[: error.start].count(b"\n") + 1) from None


def read_policy(text: str) -> Policy:
    """Reads a policy. Raises `PolicyError`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PolicyError(f"is no YAML: {error.problem or error.context}", mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, RecursionError):
        raise PolicyError("is no YAML that can be read", 1) from None
    if root is None:
        raise PolicyError("there are no rules in it, so that nobody could do anything", 1)
    return Policy([_rule(node) for node in _items(root, "the policy must be a list of rules")])


def _rule(node: yaml.Node) -> Rule:
    fields = _fields(node)
    if "path" not in fields:
        raise PolicyError("the rule has no path", _line(node))
    if "method" in fields and "methods" in fields:
        raise PolicyError("method and methods are the same; one of them is enough", _line(fields["method"]))
    path = fields["path"]
    try:
        pattern = Pattern.parse(_scalar(path, "path must be text"))
    except PatternError as error:
        raise PolicyError(str(error), _line(path)) from None
    claims = _claims(fields["claims"], pattern) if "claims" in fields else {}
    return Rule(pattern, _methods(fields.get("methods") or fields.get("method")), claims, _line(node))


def _fields(node: yaml.Node) -> dict[str, yaml.Node]:
    message = f"a rule must be an object with {', '.join(KEYS[:2])} and claims"
    fields = dict(_pairs(node, message))
    for name, value in fields.items():
        if name not in KEYS:
            raise PolicyError(f"{name!r} is none of {', '.join(KEYS)}", _line(value))
    return fields


def _methods(node: yaml.Node | None) -> tuple[str, ...]:
    found = []
    for item in _texts(node, "methods must be a list of HTTP methods") if node is not None else ():
        method = item.value.upper()
        if method not in METHODS:
            raise PolicyError(f"{item.value!r} is no HTTP method", _line(item))
        found.append(method)
    return tuple(dict.fromkeys(found))


def _claims(node: yaml.Node, pattern: Pattern) -> dict[str, tuple[str, ...]]:
    found = {}
    known = {f":{name}" for name in pattern.names}
    for name, values in _pairs(node, "claims must be an object: the names of claims, each with a list of values"):
        texts_ = tuple(item.value for item in _texts(values, f"the values of {name!r} must be a list of texts"))
        for text in (name, *texts_):
            if text.startswith(":") and text not in known:
                raise PolicyError(f"{text!r} is no name in the path {pattern.path}", _line(values))
        found[name] = texts_
    if not found:
        raise PolicyError("claims is empty; without claims at all everybody may", _line(node))
    return found


def _pairs(node: yaml.Node, message: str) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise PolicyError(message, _line(node))
    seen = set()
    for key, value in node.value:
        name = _scalar(key, message)
        if name in seen:
            raise PolicyError(f"{name!r} stands twice", _line(key))
        seen.add(name)
        yield name, value


def _items(node: yaml.Node, message: str) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise PolicyError(message, _line(node))
    return list(node.value)


def _texts(node: yaml.Node, message: str) -> list[yaml.ScalarNode]:
    """The texts of a list, or one text that stands for a list of one; numbers and booleans are what was written."""
    items = [node] if isinstance(node, yaml.ScalarNode) else _items(node, message)
    found = []
    for item in items:
        if not isinstance(item, yaml.ScalarNode) or item.tag == "tag:yaml.org,2002:null":
            raise PolicyError(message, _line(item))
        found.append(item)
    return found


def _scalar(node: yaml.Node, message: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise PolicyError(message, _line(node))
    return str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
