"""The recorded exchanges with the original server (tests/data/contract), as values that tests compare with."""

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

# What the recording leaves out of itself, and so the tests do not look at.
NOT_COMPARED: Final = "(not compared)"


class _DatesAreText(yaml.SafeLoader):
    """YAML as both servers read it: a date stays the text that was written."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class ProblemBody:
    """Stands for a body in the one error shape; its words are the server's own."""

    def __repr__(self) -> str:
        return "a problem (RFC 9457)"


PROBLEM: Final = ProblemBody()


@dataclass
class Answer:
    """One answer. `body` is the parsed value of JSON or YAML, else text ('' where there is none), or a marker."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = ""


@dataclass(frozen=True)
class Exchange:
    """One recorded request and its answer. `captures` names parts of this answer's text by regular expressions.

    `token` describes the token that was sent with it: `scheme`, `alg`, `kid` and `claims`.
    """

    name: str
    phase: str
    method: str
    path_template: str
    request_headers: Mapping[str, str]
    request_body: str | None
    captures: Mapping[str, str]
    recorded: Answer
    token: Mapping[str, Any] | None = None

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.path_template.partition("?")[0]

    def document(self) -> Any:
        """What the request's body says; None where it is neither JSON nor YAML."""
        try:
            if self.request_headers.get("Content-Type", "").startswith(YAML_TYPES):
                return yaml.load(self.request_body or "", _DatesAreText)
            return json.loads(self.request_body or "null")
        except (json.JSONDecodeError, yaml.YAMLError):
            return None


@cache
def read_exchanges() -> tuple[Exchange, ...]:
    """All exchanges, in the order in which they were recorded."""
    lines = (DATA / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(_exchange(json.loads(line)) for line in lines)


def recorded(name: str) -> Answer:
    """A copy of what was answered in the exchange of this name."""
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


def _recorded(request: dict[str, Any], response: dict[str, Any]) -> Answer:
    headers = response.get("headers", {})
    body = response["body"] or ""
    if response["status"] == 0:
        return Answer(0, {}, "")
    kind = headers.get("Content-Type", "")
    if request["method"] == "POST" and request["path"] == "/v1/packs":
        # The original calls this answer text/plain, whatever it is.
        kind = request["headers"].get("Accept", "application/json")
    return Answer(response["status"], headers, parsed(request["path"], kind, body))


def parsed(path: str, content_type: str, text: str) -> Any:
    """The value of a body: JSON and YAML are parsed, all else is text; a datastore value is text whatever its type."""
    kind = content_type.partition(";")[0]
    stored = path.startswith("/v1/datastore/") and kind != "application/problem+json"
    if stored or text in ("", NOT_COMPARED):
        return text
    try:
        if kind in YAML_TYPES:
            return yaml.safe_load(text)
        return json.loads(text) if kind in ("application/json", "application/problem+json") else text
    except (json.JSONDecodeError, yaml.YAMLError):
        return text  # not what its type says, and so not what is expected
