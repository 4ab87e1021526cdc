"""Commands' inputs, checked before Jira is asked. All raise `ValueError`, which says what is wrong."""

from collections.abc import Mapping
from typing import Any

from flyte_client.packs.common.results import require_text
from flyte_client.packs.jira.issues import MAX_RESULTS

# Jira's fields that are given by a name, and those that stand in the input as they are.
NAMED_FIELDS = {"project": "key", "issuetype": "name", "priority": "name", "reporter": "name", "assignee": "name"}
PLAIN_FIELDS = ("summary", "description", "labels")
ECHOED_FIELDS = ("project", "issuetype", "summary", "description", "priority", "reporter")


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def get_optional_text(fields: Mapping[str, Any], name: str) -> str:
    return require_text(fields, name) if fields.get(name) else ""


def get_int(fields: Mapping[str, Any], name: str, default: int, maximum: int) -> int:
    """A number, or a text of digits, which is what a flow's template makes of one."""
    value = fields.get(name, default)
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9 else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= maximum:
        raise ValueError(f"{name} must be a whole number from 0 to {maximum}")
    return number


def get_max_results(fields: Mapping[str, Any]) -> int:
    return get_int(fields, "maxResults", 10, MAX_RESULTS)


def build_issue_fields(command_input: Any) -> dict[str, Any]:
    """Jira's `fields` for a new issue: the input's own `fields`, or made of plain names."""
    fields = as_mapping(command_input)
    if isinstance(fields.get("fields"), dict):
        return dict(fields["fields"])
    unknown = [name for name in fields if name not in NAMED_FIELDS and name not in PLAIN_FIELDS]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is not known; there are {', '.join([*NAMED_FIELDS, *PLAIN_FIELDS])}, "
            "or fields with Jira's own"
        )
    for name in ("project", "issuetype", "summary"):
        require_text(fields, name)
    issue_fields = {name: fields[name] for name in PLAIN_FIELDS if fields.get(name)}
    return issue_fields | {
        name: {key: require_text(fields, name)} for name, key in NAMED_FIELDS.items() if fields.get(name)
    }


def pick_echoed_fields(command_input: Any) -> dict[str, Any]:
    """Of a new issue's input, what the events repeat: plain names, however they were given."""
    fields = as_mapping(command_input)
    issue_fields = as_mapping(fields.get("fields", fields))
    return {name: _to_plain_value(issue_fields[name]) for name in ECHOED_FIELDS if issue_fields.get(name)}


def _to_plain_value(value: Any) -> Any:
    return (
        next((value[key] for key in ("key", "name", "id") if value.get(key)), "") if isinstance(value, dict) else value
    )
