"""The recorded exchanges with the original server (tests/data/contract), as values for comparison."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

DATA = Path(__file__).parent.parent / "data" / "contract"

YAML_TYPES = ("application/x-yaml", "application/yaml", "text/yaml")

# Marks a body that the recording omits, and the tests do not compare.
NOT_COMPARED: Final = "(not compared)"


class _DatesAreText(yaml.SafeLoader):
    """A loader that parses YAML like both servers: a date stays text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class ProblemBody:
    """A marker for a body of the common error format; its texts are not compared."""

    def __repr__(self) -> str:
        return "a problem (RFC 9457)"


PROBLEM: Final = ProblemBody()


@dataclass
class ExchangeResponse:
    """A response. `body`: the parsed JSON or YAML, otherwise text ('' if empty), or a marker."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = ""


@dataclass(frozen=True)
class Exchange:
    """A recorded request and its response. `captures`: regular expressions for parts of the response, by name.

    `token` describes the token of the request: `scheme`, `alg`, `kid` and `claims`.
    """

    name: str
    phase: str
    method: str
    path_template: str
    request_headers: Mapping[str, str]
    request_body: str | None
    captures: Mapping[str, str]
    recorded: ExchangeResponse
    token: Mapping[str, Any] | None = None

    @property
    def path(self) -> str:
        """Return the path without its query."""
        return self.path_template.partition("?")[0]

    def document(self) -> Any:
        """Parse the body of the request; return None if it is neither JSON nor YAML."""
        try:
            if self.request_headers.get("Content-Type", "").startswith(YAML_TYPES):
                return yaml.load(self.request_body or "", _DatesAreText)  # noqa: S506 - a SafeLoader
            return json.loads(self.request_body or "null")
        except (json.JSONDecodeError, yaml.YAMLError):
            return None


@cache
def read_exchanges() -> tuple[Exchange, ...]:
    """Read all exchanges, in the order of the recording."""
    lines = (DATA / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_exchange(json.loads(line)) for line in lines)


def recorded(name: str) -> ExchangeResponse:
    """Return a copy of the recorded response of an exchange."""
    return deepcopy(next(exchange.recorded for exchange in read_exchanges() if exchange.name == name))


def _exchange(line: dict[str, Any]) -> Exchange:
    request = line["request"]
    return Exchange(
        name=line["name"],
        phase=line["phase"],
        method=request["method"],
        path_template=request.get("path_template", request["path"]),
        request_headers=request["headers"],
        request_body=request["body"],
        captures=line.get("capture", {}),
        recorded=_recorded(request, line["response"]),
        token=request.get("token"),
    )


def _recorded(request: dict[str, Any], response: dict[str, Any]) -> ExchangeResponse:
    headers = response.get("headers", {})
    body = response["body"] or ""
    if response["status"] == 0:
        return ExchangeResponse(0, {}, "")
    kind = headers.get("Content-Type", "")
    if request["method"] == "POST" and request["path"] == "/v1/packs":
        # The original always labels this response text/plain.
        kind = request["headers"].get("Accept", "application/json")
    return ExchangeResponse(response["status"], headers, parsed(request["path"], kind, body))


def parsed(path: str, content_type: str, text: str) -> Any:
    """Parse a body: JSON and YAML; other types and datastore values stay text."""
    kind = content_type.partition(";")[0]
    stored = path.startswith("/v1/datastore/") and kind != "application/problem+json"
    if stored or text in ("", NOT_COMPARED):
        return text
    try:
        if kind in YAML_TYPES:
            return yaml.safe_load(text)
        return json.loads(text) if kind in ("application/json", "application/problem+json") else text
    except (json.JSONDecodeError, yaml.YAMLError):
        return text  # not of its declared type, and therefore not as expected
