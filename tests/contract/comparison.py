"""Compares answers with what is expected: ids and times by their form, all else exactly.

Ids are compared by what they name: each recorded id stands for one id of ours through the whole conversation, and the
other way round. Times of the recording's day stand for any time in the form the API has; other times were sent by the
recording's client, and come back as they are. JSON objects compare without order, numbers by value and kind.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, permutations
from typing import Any

from tests.contract.recording import NOT_COMPARED, PROBLEM, Answer

RECORDING_DAY = "2026-11-21T"
TIME_KEYS = ("lastSeen", "time", "createdAt", "receivedAt")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")

# These are as recorded whether an answer has them or lacks them; the others are looked at where they are expected.
# Date, Server, Content-Length and Connection are the web server's own business.
ALWAYS_COMPARED = ("Content-Type", "Location", "Allow", "Www-Authenticate")


@dataclass(frozen=True)
class JsonText:
    """Stands for a text that holds this value as compact JSON, its keys in any order."""

    value: Any


@dataclass
class Comparison:
    """Compares the answers of one conversation, in order. `host` stands where the recording has H."""

    host: str
    ours: dict[str, str] = field(default_factory=dict)
    recorded: dict[str, str] = field(default_factory=dict)

    def differences(self, expected: Answer, actual: Answer) -> list[str]:
        """What differs, one line each; empty where the answer is as expected."""
        before = dict(self.ours), dict(self.recorded)
        found = [] if expected.status == actual.status else [f"status: {expected.status} expected, got {actual.status}"]
        found += self._headers(expected, actual) + self._body(expected, actual)
        if found:
            self.ours, self.recorded = before
        return found

    def _headers(self, expected: Answer, actual: Answer) -> list[str]:
        named = [name for name in expected.headers if name == "Content-Type"]
        looked_at = named if expected.body == NOT_COMPARED else [*ALWAYS_COMPARED, *expected.headers]
        found = []
        for name in dict.fromkeys(looked_at):
            wanted, got = expected.headers.get(name), actual.headers.get(name)
            if expected.body is PROBLEM and name == "Content-Type":
                got = got and got.partition(";")[0]
            if (wanted and self._hosted(wanted)) != got:
                found.append(f"header {name}: {wanted and self._hosted(wanted)!r} expected, got {got!r}")
        return found

    def _body(self, expected: Answer, actual: Answer) -> list[str]:
        if expected.body == NOT_COMPARED:
            return []
        if expected.body is PROBLEM:
            return problem_faults(actual)
        return self._value(expected.body, actual.body, "body")

    def _value(self, wanted: Any, got: Any, path: str) -> list[str]:
        if isinstance(wanted, JsonText):
            same = isinstance(got, str) and got == _compact(got) and json.loads(got) == wanted.value
            return [] if same else [f"{path}: {wanted} expected, got {got!r}"]
        if type(wanted) is not type(got):
            return [f"{path}: {wanted!r} expected, got {got!r}"]
        if isinstance(wanted, dict):
            return self._object(wanted, got, path)
        if isinstance(wanted, list):
            return self._list(wanted, got, path)
        if isinstance(wanted, str):
            return self._text(wanted, got, path)
        return [] if repr(wanted) == repr(got) else [f"{path}: {wanted!r} expected, got {got!r}"]

    def _object(self, wanted: dict[str, Any], got: dict[str, Any], path: str) -> list[str]:
        found = [f"{path}.{key}: missing, {wanted[key]!r} expected" for key in wanted if key not in got]
        found += [f"{path}.{key}: {got[key]!r} is not expected" for key in got if key not in wanted]
        for key in wanted.keys() & got.keys():
            if key in TIME_KEYS and str(wanted[key]).startswith(RECORDING_DAY):
                found += (
                    [] if TIME.fullmatch(str(got[key])) else [f"{path}.{key}: {got[key]!r} has not the form of a time"]
                )
            else:
                found += self._value(wanted[key], got[key], f"{path}.{key}")
        return found

    def _list(self, wanted: list[Any], got: list[Any], path: str) -> list[str]:
        if len(wanted) != len(got):
            return [f"{path}: {len(wanted)} items expected, got {len(got)}: {_names(wanted)} against {_names(got)}"]
        if wanted and isinstance(wanted[0], dict) and "actions" in wanted[0]:
            return self._executions(wanted, got, path)
        return [
            line for i, pair in enumerate(zip(wanted, got, strict=True)) for line in self._value(*pair, f"{path}[{i}]")
        ]

    def _executions(self, wanted: list[Any], got: list[Any], path: str) -> list[str]:
        """Executions as they were sorted; those that changed in the same millisecond may change places."""
        found: list[str] = []
        start = 0
        for _, group in groupby(wanted, key=latest_change):
            tied = list(group)
            place = f"{path}[{start}]"
            found += self._any_order(tied, got[start : start + len(tied)], place)
            start += len(tied)
        return found

    def _any_order(self, wanted: list[Any], got: list[Any], path: str) -> list[str]:
        in_this_order: list[str] = []
        for order in permutations(wanted):
            before = dict(self.ours), dict(self.recorded)
            found = [line for pair in zip(order, got, strict=True) for line in self._value(*pair, path)]
            if not found:
                return []
            self.ours, self.recorded = before
            in_this_order = in_this_order or found
        return in_this_order

    def _text(self, wanted: str, got: str, path: str) -> list[str]:
        hosted = self._hosted(wanted)
        ids = ID.findall(hosted)
        pattern = "([0-9a-f]{24})".join(map(re.escape, ID.split(hosted)))
        match = re.fullmatch(pattern, got)
        if match and all(self._bind(*pair) for pair in zip(ids, match.groups(), strict=True)):
            return []
        known = ID.sub(lambda found: self.ours.get(found[0], found[0]), hosted)
        return [f"{path}: {known!r} expected, got {got!r}"]

    def _bind(self, recorded_id: str, our_id: str) -> bool:
        return (
            self.ours.setdefault(recorded_id, our_id) == our_id
            and self.recorded.setdefault(our_id, recorded_id) == recorded_id
        )

    def _hosted(self, text: str) -> str:
        return re.sub(r"(?<=://)H(?=/)", lambda _: self.host, text)


def problem_faults(answer: Answer) -> list[str]:
    """What is not as the one error shape wants it. Whoever sent the input at fault is told where the fault is."""
    body = answer.body
    if not isinstance(body, dict):
        return [f"body: a problem expected, got {body!r}"]
    found = [f"problem: no text in {key}" for key in ("title", "detail") if not _is_text(body.get(key))]
    if body.get("status") != answer.status:
        found.append(f"problem: its status is {body.get('status')!r}, the answer's {answer.status}")
    errors = body.get("errors", [])
    if answer.status == 400 and not errors:
        found.append(f"problem: no errors, though the input was at fault ({body.get('detail')!r})")
    if not all(isinstance(error.get("path"), str) and _is_text(error.get("message")) for error in errors):
        found.append(f"problem: errors without path and message: {errors!r}")
    return found


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def latest_change(execution: dict[str, Any]) -> datetime:
    """When the last of its actions changed its state: what the original sorts executions by, the latest first."""
    return max(datetime.fromisoformat(action["state"]["time"]) for action in execution["actions"].values())


def _compact(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except json.JSONDecodeError:
        return ""


def _names(items: list[Any]) -> list[Any]:
    keys = ("id", "key", "name", "href")
    return [next((item[key] for key in keys if key in item), "?") if isinstance(item, dict) else item for item in items]
