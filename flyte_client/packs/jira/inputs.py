"""Commands' inputs, checked before Jira is asked. All raise `ValueError`, which says what is wrong."""

from collections.abc import Mapping
from typing import Any

from flyte_client.packs.basis.outcomes import text
from flyte_client.packs.jira.issues import MOST_RESULTS

# Jira's fields that are given by a name, and those that stand in the input as they are.
NAMED = {"project": "key", "issuetype": "name", "priority": "name", "reporter": "name", "assignee": "name"}
PLAIN = ("summary", "description", "labels")
CREATED = ("project", "issuetype", "summary", "description", "priority", "reporter")


def mapping(given: Any) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else {}


def optional_text(given: Mapping[str, Any], name: str) -> str:
    return text(given, name) if given.get(name) else ""


def whole(given: Mapping[str, Any], name: str, default: int, most: int) -> int:
    """A number, or a text of digits, which is what a flow's template makes of one."""
    value = given.get(name, default)
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9 else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}")
    return number


def most_results(given: Mapping[str, Any]) -> int:
    return whole(given, "maxResults", 10, MOST_RESULTS)


def new_issue(given: Any) -> dict[str, Any]:
    """Jira's `fields` for a new issue: the input's own `fields`, or made of plain names."""
    fields = mapping(given)
    if isinstance(fields.get("fields"), dict):
        return dict(fields["fields"])
    unknown = [name for name in fields if name not in NAMED and name not in PLAIN]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is not known; there are {', '.join([*NAMED, *PLAIN])}, or fields with Jira's own"
        )
    for name in ("project", "issuetype", "summary"):
        text(fields, name)
    made = {name: fields[name] for name in PLAIN if fields.get(name)}
    return made | {name: {key: text(fields, name)} for name, key in NAMED.items() if fields.get(name)}


def told_of(given: Any) -> dict[str, Any]:
    """Of a new issue's input, what the events repeat: plain names, however they were given."""
    fields = mapping(given)
    inner = mapping(fields.get("fields", fields))
    return {name: _plain(inner[name]) for name in CREATED if inner.get(name)}


def _plain(value: Any) -> Any:
    return (
        next((value[key] for key in ("key", "name", "id") if value.get(key)), "") if isinstance(value, dict) else value
    )
