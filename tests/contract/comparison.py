"""Comparison of responses with the expected ones: ids and times by their format, everything else exactly.

Ids are compared by identity: each recorded id corresponds to one id of this server in the whole conversation, and vice
versa. Times of the recording's day match any time in the API's format; other times were sent by the recording's client,
and are returned unchanged. JSON objects compare without order, numbers by value and type.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, permutations
from typing import Any

from tests.contract.recording import NOT_COMPARED, PROBLEM, ExchangeResponse

RECORDING_DAY = "2026-11-21T"
TIME_KEYS = ("lastSeen", "time", "createdAt", "receivedAt")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")

# These must be as recorded, present or absent; other headers are compared only if they are expected.
# Date, Server, Content-Length and Connection depend on the web server.
ALWAYS_COMPARED = ("Content-Type", "Location", "Allow", "Www-Authenticate")


@dataclass(frozen=True)
class JsonText:
    """A marker for a text that contains this value as compact JSON, with keys in any order."""

    value: Any


@dataclass
class Comparison:
    """A comparison of the responses of a conversation, in order. `host` replaces H in the recording."""

    host: str
    ours: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)

    def differences(self, expected: ExchangeResponse, actual: ExchangeResponse) -> list[str]:
        """Return the differences, one per line; empty if the response is as expected."""
        before = dict(self.ours), dict(self.recorded)
        lines = [] if expected.status == actual.status else [f"status: {expected.status} expected, got {actual.status}"]
        lines += self._headers(expected, actual) + self._body(expected, actual)
        if lines:
            self.ours, self.recorded = before
        return lines

    def _headers(self, expected: ExchangeResponse, actual: ExchangeResponse) -> list[str]:
        named = [name for name in expected.headers if name == "Content-Type"]
        names = named if expected.body == NOT_COMPARED else [*ALWAYS_COMPARED, *expected.headers]
        lines = []
        for name in dict.fromkeys(names):
            expected_text, actual_text = expected.headers.get(name), actual.headers.get(name)
            if expected.body is PROBLEM and name == "Content-Type":
                actual_text = actual_text and actual_text.partition(";")[0]
            if (expected_text and self._hosted(expected_text)) != actual_text:
                lines.append(
                    f"header {name}: {expected_text and self._hosted(expected_text)!r} expected, got {actual_text!r}"
                )
        return lines

    def _body(self, expected: ExchangeResponse, actual: ExchangeResponse) -> list[str]:
        if expected.body == NOT_COMPARED:
            return []
        if expected.body is PROBLEM:
            return find_problem_errors(actual)
        return self._value(expected.body, actual.body, "body")

    def _value(self, expected: Any, actual: Any, path: str) -> list[str]:
        if isinstance(expected, JsonText):
            same = isinstance(actual, str) and actual == _compact(actual) and json.loads(actual) == expected.value
            return [] if same else [f"{path}: {expected} expected, got {actual!r}"]
        if type(expected) is not type(actual):
            return [f"{path}: {expected!r} expected, got {actual!r}"]
        if isinstance(expected, dict):
            return self._object(expected, actual, path)
        if isinstance(expected, list):
            return self._list(expected, actual, path)
        if isinstance(expected, str):
            return self._text(expected, actual, path)
        return [] if repr(expected) == repr(actual) else [f"{path}: {expected!r} expected, got {actual!r}"]

    def _object(self, expected: dict[str, Any], actual: dict[str, Any], path: str) -> list[str]:
        lines = [f"{path}.{key}: missing, {expected[key]!r} expected" for key in expected if key not in actual]
        lines += [f"{path}.{key}: {actual[key]!r} is not expected" for key in actual if key not in expected]
        for key in expected.keys() & actual.keys():
            if key in TIME_KEYS and str(expected[key]).startswith(RECORDING_DAY):
                lines += (
                    []
                    if TIME.fullmatch(str(actual[key]))
                    else [f"{path}.{key}: {actual[key]!r} is not in the format of a time"]
                )
            else:
                lines += self._value(expected[key], actual[key], f"{path}.{key}")
        return lines

    def _list(self, expected: list[Any], actual: list[Any], path: str) -> list[str]:
        if len(expected) != len(actual):
            return [f"{path}: {len(expected)} items expected, got {len(actual)}: {_names(expected)}, {_names(actual)}"]
        if expected and isinstance(expected[0], dict) and "actions" in expected[0]:
            return self._executions(expected, actual, path)
        return [
            line
            for i, pair in enumerate(zip(expected, actual, strict=True))
            for line in self._value(*pair, f"{path}[{i}]")
        ]

    def _executions(self, expected: list[Any], actual: list[Any], path: str) -> list[str]:
        """Compare executions in order; those that changed in the same millisecond can be in any order."""
        lines: list[str] = []
        start = 0
        for _, group in groupby(expected, key=latest_change):
            tied = list(group)
            item_path = f"{path}[{start}]"
            lines += self._any_order(tied, actual[start : start + len(tied)], item_path)
            start += len(tied)
        return lines

    def _any_order(self, expected: list[Any], actual: list[Any], path: str) -> list[str]:
        in_this_order: list[str] = []
        for order in permutations(expected):
            before = dict(self.ours), dict(self.recorded)
            lines = [line for pair in zip(order, actual, strict=True) for line in self._value(*pair, path)]
            if not lines:
                return []
            self.ours, self.recorded = before
            in_this_order = in_this_order or lines
        return in_this_order

    def _text(self, expected: str, actual: str, path: str) -> list[str]:
        hosted = self._hosted(expected)
        ids = ID.findall(hosted)
        pattern = "([0-9a-f]{24})".join(map(re.escape, ID.split(hosted)))
        match = re.fullmatch(pattern, actual)
        if match and all(self._bind(*pair) for pair in zip(ids, match.groups(), strict=True)):
            return []
        with_our_ids = ID.sub(lambda match: self.ours.get(match[0], match[0]), hosted)
        return [f"{path}: {with_our_ids!r} expected, got {actual!r}"]

    def _bind(self, recorded_id: str, our_id: str) -> bool:
        return (
            self.ours.setdefault(recorded_id, our_id) == our_id
            and self.recorded.setdefault(our_id, recorded_id) == recorded_id
        )

    def _hosted(self, text: str) -> str:
        return re.sub(r"(?<=://)H(?=/)", lambda _: self.host, text)


def find_problem_errors(answer: ExchangeResponse) -> list[str]:
    """Return violations of the common error format. Errors of the input must have their location."""
    body = answer.body
    if not isinstance(body, dict):
        return [f"body: a problem expected, got {body!r}"]
    lines = [f"problem: no text in {key}" for key in ("title", "detail") if not _is_text(body.get(key))]
    if body.get("status") != answer.status:
        lines.append(f"problem: its status is {body.get('status')!r}, the response's {answer.status}")
    errors = body.get("errors", [])
    if answer.status == 400 and not errors:
        lines.append(f"problem: no errors, although the input was invalid ({body.get('detail')!r})")
    if not all(isinstance(error.get("path"), str) and _is_text(error.get("message")) for error in errors):
        lines.append(f"problem: errors without path and message: {errors!r}")
    return lines


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def latest_change(execution: dict[str, Any]) -> datetime:
    """Return the time of the last state change of its actions; the original sorts executions by it, latest first."""
    return max(datetime.fromisoformat(action["state"]["time"]) for action in execution["actions"].values())


def _compact(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except json.JSONDecodeError:
        return ""


def _names(items: list[Any]) -> list[Any]:
    keys = ("id", "key", "name", "href")
    return [next((item[key] for key in keys if key in item), "?") if isinstance(item, dict) else item for item in items]
